"""The numbered claims that hold for every broker, seen from above; a member differs only in what it says it cannot show."""

from collections.abc import Mapping

from tests.brokers import cases_account, cases_connection, cases_groups, cases_market, cases_orders
from tests.brokers.scene import Case, Scene
from tests.brokers.stage import Stage

_ALL: dict[str, Case] = {}
for _part in (cases_connection, cases_orders, cases_groups, cases_account, cases_market):
    _ALL |= _part.case.all
CASES: Mapping[str, Case] = _ALL
CANNOT_MAX = 2
# Numbers of the fault catalogue whose answer, as far as it is the broker's connection, a case shows.
FAULTS: Mapping[str, tuple[int, ...]] = {
    "B02": (31,),
    "B03": (41,),
    "B07": (31,),
    "B08": (33, 45),
    "B09": (40,),
    "B18": (67,),
    "B21": (59,),
    "B23": (62, 63),
    "B24": (49,),
    "B39": (59,),
    "B48": (37,),
    "B50": (46,),
    "B60": (75,),
}


async def play(stage: Stage, number: str) -> None:
    """Plays one case on a stage that nothing has happened on."""
    scene = Scene(stage)
    await scene.begin()
    try:
        await CASES[number].play(scene)
    finally:
        await scene.broker.close()
