package khabar.example;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;

/** Avro in the Confluent wire format: a zero byte, the schema's id in the registry, the value. */
public final class ConfluentAvroDeserializer implements Deserializer<GenericRecord> {
  public static final String REGISTRY_URL = "registry.url";

  private final HttpClient http = HttpClient.newHttpClient();
  private final ObjectMapper json = new ObjectMapper();
  private final Map<Integer, GenericDatumReader<GenericRecord>> readers = new HashMap<>();
  private String registry;

  @Override
  public void configure(Map<String, ?> configs, boolean isKey) {
    registry = (String) configs.get(REGISTRY_URL);
  }

  @Override
  public GenericRecord deserialize(String topic, byte[] value) {
    if (value == null) {
      return null;
    }
    ByteBuffer buffer = ByteBuffer.wrap(value);
    if (buffer.remaining() < 5 || buffer.get() != 0) {
      throw new SerializationException("not in the Confluent wire format: " + topic);
    }
    try {
      int id = buffer.getInt();
      GenericDatumReader<GenericRecord> reader = readers.get(id);
      if (reader == null) {
        reader = new GenericDatumReader<>(schema(id));
        readers.put(id, reader);
      }
      return reader.read(null, DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, null));
    } catch (IOException error) {
      throw new SerializationException(error);
    }
  }

  private Schema schema(int id) throws IOException {
    URI address = URI.create(registry + "/schemas/ids/" + id);
    HttpRequest request = HttpRequest.newBuilder(address).timeout(Duration.ofSeconds(10)).build();
    try {
      var answer = http.send(request, BodyHandlers.ofString());
      if (answer.statusCode() != 200) {
        throw new IOException(address + " answers " + answer.statusCode());
      }
      return new Schema.Parser().parse(json.readTree(answer.body()).get("schema").asText());
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
      throw new IOException(error);
    }
  }
}
