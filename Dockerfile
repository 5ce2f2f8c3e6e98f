# Khabar as an image: the same locked files as `make`. It has not been built yet, for want of Docker
# where it was written.
FROM python:3.13-slim

WORKDIR /app
COPY requirements.lock camel-tools.lock ./
# camel-tools' own metadata pulls torch (6 GB); its text utilities need none of it.
RUN pip install --no-cache-dir --require-hashes -r requirements.lock \
 && pip install --no-cache-dir --require-hashes --no-deps -r camel-tools.lock

COPY pyproject.toml README.md LICENSE ./
COPY pipelines pipelines
COPY schemas schemas
COPY samples samples
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

RUN useradd --create-home khabar
USER khabar
WORKDIR /home/khabar
# Compiles what is compiled at its first call.
RUN python -m pipelines.rehearsal
# The process itself gets SIGTERM: it commits what it has delivered and ends.
ENTRYPOINT ["khabar"]
CMD ["--help"]
