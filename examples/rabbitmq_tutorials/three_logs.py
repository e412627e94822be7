"""Tutorial 3, publish/subscribe: everybody who is interested gets a copy."""

from ropeway import Ropeway, current

app = Ropeway(broker="amqp://localhost", store="sqlite:///tutorials.db")

logs = app.exchange("logs", "fanout")
logs.bind("log-file")
logs.bind("log-screen")


@app.task(name="note")
def note(text: str) -> str:
    """Run once for each queue that is bound."""
    print(f" [x] {text}")
    return f"{current.queue}: {text}"


if __name__ == "__main__":
    note.using(exchange=logs).send("info: Hello World!")
    print(" [x] Sent")
