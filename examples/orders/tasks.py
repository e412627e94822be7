"""An order: paid, approved by a person, shipped; and what is undone when one of these fails.

ropeway worker tasks:app &
python -c 'from tasks import order; print(order("A-1", 40).id)'
ropeway workflows signal RUN approved ann
ropeway workflows watch RUN
"""

from __future__ import annotations

from ropeway import RetryPolicy, Ropeway, Run

app = Ropeway()


@app.task
def reserve(number: str) -> str:
    """Take the goods from the shelf."""
    return f"reserved {number}"


@app.task(retries=RetryPolicy(retries=0))
def charge(number: str, amount: int) -> str:
    """Take the money; an amount of nothing is refused."""
    if amount <= 0:
        raise ValueError(f"cannot charge {amount}")
    return f"payment of {amount} for {number}"


@app.task
def ship(reserved: str, payment: str, approved_by: str) -> str:
    """Send the goods."""
    return f"{reserved}, {payment}, approved by {approved_by}"


@app.task
def put_back(reserved: str) -> str:
    """Undo `reserve`."""
    return f"{reserved}: put back"


@app.task
def refund(payment: str) -> str:
    """Undo `charge`."""
    return f"{payment}: refunded"


@app.task
def tell(number: str) -> None:
    """Tell the customer that the order is over, however it went."""


def order(number: str, amount: int, *, patience: float | str = "2d") -> Run[str]:
    """Begin an order. Who has to approve it has so long; then it is undone."""
    with app.workflow("order", keep="30d") as wf:
        reserved = wf.add(reserve.call(number))
        payment = wf.add(charge.call(number, amount), after="reserve")
        approved = wf.signal("approved", str, timeout=patience, after="charge")
        sent = wf.add(ship.call(reserved, payment, approved))
        wf.on_failure(refund.call(payment), of=[wf.node(sent)])
        wf.on_failure(put_back.call(reserved), of=[wf.node(sent)])
        wf.always(tell.call(number))
    return wf.send()
