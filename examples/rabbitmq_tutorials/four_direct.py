"""Tutorial 4, routing: by a word, here the severity."""

from ropeway import Ropeway, current

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")

logs = app.exchange("direct_logs", "direct")
logs.bind("disk", "error")
for severity in ("info", "warning", "error"):
    logs.bind("screen", severity)


@app.task(name="note")
def note(text: str) -> str:
    """Run in the queue `disk` for errors, and in `screen` for everything."""
    return f"{current.queue} {current.routing_key}: {text}"


if __name__ == "__main__":
    note.using(exchange=logs, routing_key="error").send("Run. Run. Or it will explode.")
    print(" [x] Sent")
