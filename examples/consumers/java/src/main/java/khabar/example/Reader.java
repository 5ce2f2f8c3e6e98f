package khabar.example;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads Khabar's topics and keeps what counts in SQLite. */
public final class Reader {
  public static void main(String[] arguments) throws Exception {
    Map<String, String> given = new HashMap<>();
    given.put("bootstrap-servers", "127.0.0.1:9092");
    given.put("registry-url", "http://127.0.0.1:8081/apis/ccompat/v7");
    given.put("group", "my-reader");
    given.put("store", "news.sqlite");
    List<String> topics = new ArrayList<>();
    for (String argument : arguments) {
      String[] option = argument.replaceFirst("^--", "").split("=", 2);
      if (option[0].equals("topic")) {
        topics.add(option[1]);
      } else {
        given.put(option[0], option.length == 2 ? option[1] : "true");
      }
    }
    if (topics.isEmpty()) {
      topics.add("news.articles");
    }

    Map<String, Object> settings = new HashMap<>();
    settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, given.get("bootstrap-servers"));
    settings.put(ConsumerConfig.GROUP_ID_CONFIG, given.get("group"));
    // Without it, records come too that a killed run wrote and never committed.
    settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
    settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class);
    settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ConfluentAvroDeserializer.class);
    settings.put(ConfluentAvroDeserializer.REGISTRY_URL, given.get("registry-url"));

    try (Store store = new Store(given.get("store"));
        KafkaConsumer<String, GenericRecord> consumer = new KafkaConsumer<>(settings)) {
      consumer.subscribe(topics);
      while (true) {
        ConsumerRecords<String, GenericRecord> records = consumer.poll(Duration.ofMillis(500));
        for (ConsumerRecord<String, GenericRecord> record : records) {
          store.take(record.topic(), record.value());
        }
        if (!records.isEmpty()) {
          store.commit();
          consumer.commitSync(); // after the work: what a crash repeats, the store takes twice
        } else if (given.containsKey("until-caught-up") && caughtUp(consumer)) {
          break;
        }
      }
      PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
      store.lines().forEach(out::println);
      out.flush();
    }
  }

  private static boolean caughtUp(Consumer<?, ?> consumer) {
    Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
    return !ends.isEmpty()
        && ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
  }
}
