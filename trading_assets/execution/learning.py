"""After a settlement: one lesson for each trade that the session closed, written by the critic over the deterministic card."""

from trading_assets.core.calendar import Session
from trading_assets.core.slots import Slot
from trading_assets.execution.cards import cards, trips_closed_in
from trading_assets.execution.looking import World
from trading_assets.execution.ports import OrderLedger
from trading_assets.theses.memory.critic import critic_asks, with_critic
from trading_assets.theses.memory.model import Lesson


def learn(session: Session, ledger: OrderLedger, world: World) -> tuple[Lesson, ...]:
    """The lessons of a settled session; one that is learned already is kept as it is.

    The critic is asked outside of any transaction. They are knowable from the session's close on.
    """
    with ledger.reading() as reading:
        trips, intents = trips_closed_in(reading, world.facts.splits_until(session.day), session.day)
        known = {lesson.id for lesson in reading.lessons(session.close)} if trips else set()
    fresh = [card for card in cards(trips, intents, at=session.close) if card.id not in known]
    if not fresh:
        return ()
    counsel = world.counsel
    budget = counsel.budget_of(Slot(session, "close", session.close))
    asks = critic_asks(fresh, budget=budget, as_of=session.close)
    answers = counsel.reasoner.gather(asks, within=counsel.patience)
    lessons = tuple(with_critic(card, answer) for card, answer in zip(fresh, answers, strict=True))
    with ledger.session() as writing:
        writing.add_lessons(lessons)
    return lessons
