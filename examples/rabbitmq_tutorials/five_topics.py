"""Tutorial 5, topics: by patterns of words, here the facility and the severity."""

from ropeway import Ropeway, current

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")

logs = app.exchange("topic_logs", "topic")
logs.bind("kernel", "kern.*")
logs.bind("critical", "*.critical")
logs.bind("everything", "#")


@app.task(name="note")
def note(text: str) -> str:
    """Run in each queue that has a pattern for it."""
    return f"{current.queue} {current.routing_key}: {text}"


if __name__ == "__main__":
    note.using(exchange=logs, routing_key="kern.critical").send("A critical kernel error")
    print(" [x] Sent")
