"""The words of the generated tasks: one lexicon for train, one for test, with no content word in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Concept = tuple[str, str]
"""Two words for one thing."""


class Verb(NamedTuple):
    base: str
    past: str


class Topic(NamedTuple):
    agents: tuple[Concept, ...]
    things: tuple[Concept, ...]
    places: tuple[Concept, ...]


@dataclass(frozen=True)
class Lexicon:
    """`verbs` are pairs of opposites, each with two wordings; the participle of each is its past form."""

    name: str
    topics: tuple[Topic, ...]
    verbs: tuple[tuple[Concept, Concept], ...]
    nouns: tuple[str, ...]
    intransitives: tuple[Verb, ...]
    transitives: tuple[Verb, ...]
    adjectives: tuple[str, ...]

    @property
    def things(self) -> tuple[str, ...]:
        return tuple(thing[0] for topic in self.topics for thing in topic.things)


def _concepts(text: str) -> tuple[Concept, ...]:
    return tuple((a, b) for a, b in (word.split("=") for word in text.split()))


def _topic(agents: str, things: str, places: str) -> Topic:
    return Topic(_concepts(agents), _concepts(things), _concepts(places))


def _opposites(text: str) -> tuple[tuple[Concept, Concept], ...]:
    return tuple((a, b) for a, b in (_concepts(pair.replace("|", " ")) for pair in text.split()))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _verbs(text: str) -> tuple[Verb, ...]:
    return tuple(Verb(base, past) for base, past in (word.split("/") for word in text.split()))


TRAIN = Lexicon(
    "train",
    (
        _topic("chef=cook waiter=server guest=visitor", "soup=broth pie=tart meal=dinner drink=beverage",
               "restaurant=diner kitchen=galley"),
        _topic("teacher=instructor pupil=student headmaster=principal", "essay=composition lesson=class exam=test",
               "college=university classroom=schoolroom"),
        _topic("doctor=physician nurse=caregiver dentist=orthodontist", "medicine=drug treatment=therapy injury=wound",
               "hospital=clinic ward=infirmary"),
        _topic("coach=trainer athlete=sportsman fan=supporter", "match=game race=sprint trophy=cup",
               "gym=gymnasium stadium=arena"),
        _topic("mother=mom husband=spouse child=kid", "sofa=couch rug=carpet lamp=lantern curtain=drape",
               "house=residence cellar=basement"),
    ),
    _opposites("praised=commended|criticized=condemned bought=purchased|sold=auctioned "
               "remembered=recalled|overlooked=missed repaired=fixed|destroyed=wrecked "
               "wanted=desired|refused=declined examined=inspected|ignored=disregarded"),
    _words("chef waiter guest teacher pupil student doctor nurse dentist coach athlete fan mother husband "
           "child cook visitor trainer aunt uncle sister dog woman"),
    _verbs("sleep/slept arrive/arrived laugh/laughed fall/fell smile/smiled blink/blinked tremble/trembled wait/waited "
           "cough/coughed kneel/knelt vanish/vanished sneeze/sneezed talk/talked appear/appeared"),
    _verbs("buy/bought repair/repaired destroy/destroyed inspect/inspected praise/praised describe/described "
           "bring/brought throw/threw clean/cleaned mention/mentioned"),
    _words("old tired happy tall clever angry friendly hungry lazy polite"),
)  # fmt: skip

TEST = Lexicon(
    "test",
    (
        _topic("lawyer=attorney judge=magistrate criminal=crook", "contract=agreement ruling=verdict evidence=proof",
               "court=tribunal prison=jail"),
        _topic("painter=artist singer=vocalist author=writer", "picture=painting song=tune novel=book movie=film",
               "theater=playhouse gallery=museum"),
        _topic("pilot=aviator tourist=traveler driver=motorist", "car=automobile journey=trip luggage=baggage",
               "hotel=inn road=highway"),
        _topic("boss=manager worker=employee buyer=customer", "plan=proposal salary=wage product=item",
               "shop=store office=bureau"),
        _topic("farmer=grower hunter=trapper shepherd=herder", "pig=hog rabbit=bunny stone=rock",
               "forest=woods field=meadow"),
    ),
    _opposites("loved=adored|hated=despised found=discovered|lost=misplaced protected=defended|attacked=assaulted "
               "picked=selected|rejected=dismissed admired=respected|mocked=ridiculed "
               "concealed=obscured|revealed=disclosed"),
    _words("lawyer judge painter singer author pilot tourist driver boss worker farmer hunter shepherd customer "
           "manager soldier king brother cat horse man artist sailor boy"),
    _verbs("exist/existed shiver/shivered die/died weep/wept sit/sat disappear/disappeared wander/wandered "
           "giggle/giggled stumble/stumbled yawn/yawned hesitate/hesitated travel/traveled rise/rose faint/fainted"),
    _verbs("find/found admire/admired steal/stole reveal/revealed choose/chose carry/carried paint/painted "
           "lose/lost reject/rejected discover/discovered"),
    _words("young brave sad short wise nervous cruel thirsty famous quiet"),
)  # fmt: skip
