package khabar.example;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.generic.GenericRecord;

/**
 * The newest records of each article, in SQLite; nothing of an article that was removed. Taking a
 * record twice changes nothing: so offsets may be committed after the work.
 */
final class Store implements AutoCloseable {
  private final Connection db;

  Store(String path) throws SQLException {
    db = DriverManager.getConnection("jdbc:sqlite:" + path);
    db.setAutoCommit(false);
    run(
        "CREATE TABLE IF NOT EXISTS held (article_id TEXT, topic TEXT, entity_id TEXT,"
            + " revision INTEGER, record TEXT, PRIMARY KEY (article_id, topic, entity_id))");
    run("CREATE TABLE IF NOT EXISTS removed (article_id TEXT PRIMARY KEY)");
    db.commit();
  }

  /** Keeps, replaces or deletes, as the record says. */
  void take(String topic, GenericRecord record) throws SQLException {
    String article = text(record, "article_id");
    if (text(record, "verdict").equals("removal") || text(record, "removed").equals("true")) {
      // Topics are read at different speeds: what is still to come of it is refused below.
      run("INSERT OR IGNORE INTO removed VALUES (?)", article);
      run("DELETE FROM held WHERE article_id = ?", article);
      return;
    }
    if (number("SELECT count(*) FROM removed WHERE article_id = ?", article) > 0) {
      return;
    }
    int revision = (int) record.get("revision");
    int newest =
        number("SELECT max(revision) FROM held WHERE article_id = ? AND topic = ?", article, topic);
    if (newest > revision) {
      return;
    }
    if (newest < revision) {
      run("DELETE FROM held WHERE article_id = ? AND topic = ?", article, topic);
    }
    run(
        "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)",
        article, topic, text(record, "entity_id"), revision, record.toString());
  }

  /** Returns when all that was taken is on the disk. */
  void commit() throws SQLException {
    db.commit();
  }

  /** What is held, a JSON object for each record. */
  List<String> lines() throws SQLException {
    List<String> lines = new ArrayList<>();
    String query = "SELECT topic, record FROM held ORDER BY topic, article_id, entity_id";
    try (PreparedStatement statement = db.prepareStatement(query);
        ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        lines.add("{\"topic\": \"" + rows.getString(1) + "\", \"record\": " + rows.getString(2) + "}");
      }
    }
    return lines;
  }

  @Override
  public void close() throws SQLException {
    db.close();
  }

  private static String text(GenericRecord record, String field) {
    return record.hasField(field) ? record.get(field).toString() : "";
  }

  private void run(String statement, Object... values) throws SQLException {
    try (PreparedStatement prepared = prepared(statement, values)) {
      prepared.execute();
    }
  }

  private int number(String query, Object... values) throws SQLException {
    try (PreparedStatement prepared = prepared(query, values);
        ResultSet row = prepared.executeQuery()) {
      row.next();
      return row.getInt(1); // 0 for NULL; revisions begin at 1
    }
  }

  private PreparedStatement prepared(String sql, Object... values) throws SQLException {
    PreparedStatement prepared = db.prepareStatement(sql);
    for (int at = 0; at < values.length; at++) {
      prepared.setObject(at + 1, values[at]);
    }
    return prepared;
  }
}
