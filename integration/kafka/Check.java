import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** java Check BROKER RECORDS: fills the topic `lines`, and counts what comes out of `words`. */
public final class Check {
  public static void main(String[] words) throws Exception {
    Properties p = new Properties();
    p.put("bootstrap.servers", words[0]);
    for (String side : List.of("key", "value")) {
      p.put(side + ".serializer", "org.apache.kafka.common.serialization.StringSerializer");
      p.put(side + ".deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
    }
    p.put("group.id", "check");
    p.put("auto.offset.reset", "earliest");
    int records = Integer.parseInt(words[1]);
    try (Admin admin = Admin.create(p)) {
      admin.createTopics(List.of(new NewTopic("lines", 1, (short) 1), new NewTopic("words", 1, (short) 1)))
          .all().get();
    }
    try (KafkaProducer<String, String> out = new KafkaProducer<>(p)) {
      for (int i = 0; i < records; i++) {
        out.send(new ProducerRecord<>("lines", "k", i + " 1984-06?"));
      }
    }
    System.out.println("SENT");
    Set<String> numbers = new HashSet<>(), workers = new HashSet<>(), years = new HashSet<>();
    int got = 0, told = 0;
    long end = System.nanoTime() + 100_000_000_000L;
    try (KafkaConsumer<String, String> in = new KafkaConsumer<>(p)) {
      in.subscribe(List.of("words"));
      while (numbers.size() < records && System.nanoTime() < end) {
        for (var record : in.poll(Duration.ofMillis(200))) {
          String[] parts = record.value().split(" ");
          numbers.add(parts[0]);
          years.add(parts[1]);
          workers.add(parts[2]);
          got++;
        }
        for (; told + records / 10 <= got; told += records / 10) {
          System.out.println("GOT " + got);
        }
      }
    }
    System.out.println("RESULT {\"got\": " + got + ", \"different\": " + numbers.size()
        + ", \"workers\": " + workers.size() + ", \"years\": " + years + "}");
  }
}
