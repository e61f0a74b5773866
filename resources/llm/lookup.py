"""What the record says of questions that are asked together, looked up all at once: panels first, then each question alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from resources.ledger.records import Counted
from resources.llm.inquiry import Inquiry, answered
from resources.llm.panels import Panel, chunks, panel_of
from resources.llm.recording import MissingAnswer
from resources.llm.stores import Stores
from trading_assets.reasoning.model import Abstention, Answer
from trading_assets.reasoning.ports import AnswerRecord
from trading_assets.reasoning.registry import ModelRegistry
from trading_assets.reasoning.skills import SkillSet

AnyInquiry = Inquiry[Any, Any]
Said = Answer[Any] | Abstention
Places = tuple[int, ...]


class Lookup:
    """Questions, what is recorded of them, and in which form the others are to be asked.

    Args:
        inquiries: The questions in their order.
        skills: What panels are rendered with.
        stores: Where the records are.
        registry: What each model may know of the past.
        panel_max: Questions in one prompt at most.
    """

    def __init__(
        self,
        inquiries: Sequence[AnyInquiry],
        skills: SkillSet,
        stores: Stores,
        registry: ModelRegistry,
        *,
        panel_max: int,
    ) -> None:
        self._inquiries = inquiries
        self._skills = skills
        self._stores = stores
        self._registry = registry
        self._panel_max = panel_max
        self._said: list[Said | None] = [None] * len(inquiries)
        self._panels = self._panels_of(tuple(chunk) for chunk in chunks(inquiries, panel_max))
        self._counted: Counter[tuple[str, str, date]] = Counter()

    def look_up(self, *, rules: bool, as_of: datetime) -> None:
        """Fills in what is recorded, counted as replays; with `rules` also what the rules are recorded to have said.

        A panel answers for its items; what it does not answer is looked up alone. Items that are left without an answer beside
        others that have one may have been asked as a smaller panel, which is looked up as well.
        """
        keys = [(*one.keys, one.rules_key) if rules else one.keys for one in self._inquiries]
        records = self._stores.answers.find_many([*(panel.keys for panel in self._panels.values()), *keys])
        self._take_panels(records[: len(self._panels)])
        self._take_alone(records[len(self._panels) :])
        whole = self._unanswered()
        rests = (tuple(p for p in places if self._said[p] is None) for places in self._panels if places not in whole)
        self._panels = self._panels_of(rest for rest in rests if len(rest) > 1)
        if self._panels:
            self._take_panels(self._stores.answers.find_many([panel.keys for panel in self._panels.values()]))
        self._panels = {**whole, **self._unanswered()}
        self._count(as_of)

    @property
    def missing(self) -> list[int]:
        """Places of the questions that have no answer."""
        return [place for place, said in enumerate(self._said) if said is None]

    @property
    def jobs(self) -> list[AnyInquiry]:
        """What has no answer, as it may be asked: panels first, then what stands alone."""
        return [*self._panels.values(), *(self._inquiries[place] for place in self._alone)]

    @property
    def answers(self) -> list[Said]:
        """Every question's answer, once none is missing."""
        return [said for said in self._said if said is not None]

    def fill(self, answers: Sequence[Said]) -> None:
        """The answers of the jobs in their order, a panel's items one after the other."""
        places = [*(place for panel in self._panels for place in panel), *self._alone]
        for place, said in zip(places, answers, strict=True):
            self._said[place] = said

    def insist(self) -> None:
        """Raises MissingAnswer where the record says nothing."""
        if not self.missing:
            return
        first = self._inquiries[self.missing[0]]
        beside = f", the same questions beside it and panel_max: {self._panel_max}" if first.role.panel else ""
        raise MissingAnswer(
            f"no answer of skill {first.skill.name} is recorded for {len(self.missing)} of {len(self._said)} questions",
            value=(first.keys or (first.rules_key,))[0],
            bound="mode: replay_only",
            hint=f"ask with mode: models first, with the same skills, prompts, settings and code{beside}",
        )

    @property
    def _alone(self) -> list[int]:
        grouped = {place for panel in self._panels for place in panel}
        return [place for place in self.missing if place not in grouped]

    def _panels_of(self, groups: Iterable[Places]) -> dict[Places, Panel]:
        made = ((places, panel_of([self._inquiries[place] for place in places], self._skills)) for places in groups)
        return {places: panel for places, panel in made if panel is not None}

    def _unanswered(self) -> dict[Places, Panel]:
        """The panels none of whose items has an answer."""
        return {places: panel for places, panel in self._panels.items() if all(self._said[p] is None for p in places)}

    def _take_panels(self, records: Sequence[AnswerRecord | None]) -> None:
        for (places, panel), record in zip(self._panels.items(), records, strict=True):
            if record is not None:
                for place, said in panel.said(record, self._registry, cached=True).items():
                    self._said[places[place]] = said
                self._note(panel, record)

    def _take_alone(self, records: Sequence[AnswerRecord | None]) -> None:
        for place, record in enumerate(records):
            if record is not None and self._said[place] is None:
                self._said[place] = answered(self._inquiries[place], record, self._registry, cached=True)
                self._note(self._inquiries[place], record)

    def _note(self, inquiry: AnyInquiry, record: AnswerRecord) -> None:
        self._counted[record.skill, record.route, inquiry.budget.day] += 1

    def _count(self, as_of: datetime) -> None:
        if self._counted:
            counted: Mapping[tuple[str, str, date], int] = self._counted
            rows = [Counted(*place, replays=count) for place, count in counted.items()]
            self._stores.health.add(rows, as_of=as_of)
