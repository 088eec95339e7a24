"""What the planner promises must hold in whatever order things happen.

So here is a small world: a directory that somebody edits, and a server that does what
plans say.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.inference.repository.planner import Candidate, Key, Known, Plan, plan
from inferd.inference.repository.policy import select
from inferd.inference.repository.schema import Latest, VersionPolicy

POLICIES = {"a": None, "b": VersionPolicy(latest=Latest(num_versions=2))}

Version = tuple[int, float, bool]
"""Its stamp, when it was written, and whether loading it works."""


class World:
    SETTLE_S = 2.0

    def __init__(self) -> None:
        self.now = 0.0
        self.disk: dict[str, dict[int, Version]] = {"a": {}, "b": {}}
        self.ready: dict[Key, int] = {}
        self.loading: dict[Key, int] = {}
        self.failed: dict[Key, int] = {}
        self._stamp = 0

    def write(self, model: str, number: int, works: bool) -> None:
        self._stamp += 1
        self.disk[model][number] = (self._stamp, self.now, works)

    def delete(self, model: str, number: int) -> None:
        self.disk[model].pop(number, None)

    def wanted(self) -> dict[str, dict[int, Candidate]]:
        return {
            model: {
                number: Candidate(versions[number][0], self.now - versions[number][1])
                for number in select(POLICIES[model], versions)
            }
            for model, versions in self.disk.items()
        }

    def plan(self) -> Plan:
        known = Known(dict(self.ready), dict(self.loading), dict(self.failed))
        return plan(self.wanted(), known, settle_s=self.SETTLE_S)

    def follow(self, plan: Plan) -> None:
        wanted = self.wanted()
        for model, number in (*plan.load, *plan.reload):
            candidate = wanted[model][number]
            assert candidate.age_s >= self.SETTLE_S
            assert (model, number) not in self.loading
            assert self.failed.get((model, number)) != candidate.stamp
            assert ((model, number) in self.ready) == ((model, number) in plan.reload)
            self.loading[model, number] = self.disk[model][number][0]
        served = {model for model, _ in self.ready}
        for key in plan.unload:
            del self.ready[key]
        for model in served - {model for model, _ in self.ready}:
            assert not wanted[model], "the last version went, though another was wanted"

    def finish_loading(self) -> None:
        for (model, number), stamp in self.loading.items():
            now_there = self.disk[model].get(number)
            if now_there and now_there[0] == stamp and now_there[2]:
                self.ready[model, number] = stamp
                self.failed.pop((model, number), None)
            else:
                self.failed[model, number] = stamp
        self.loading.clear()


NUMBERS = st.integers(1, 4)
MODELS = st.sampled_from(["a", "b"])
STEPS = st.one_of(
    st.tuples(st.just("write"), MODELS, NUMBERS, st.booleans()),
    st.tuples(st.just("delete"), MODELS, NUMBERS),
    st.tuples(st.just("wait"), st.integers(0, 3)),
    st.tuples(st.just("look")),
    st.tuples(st.just("finish")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_plans_keep_their_promises_and_reach_what_is_wanted(
    steps: list[tuple[object, ...]],
) -> None:
    world = World()

    for name, *arguments in steps:
        match name, arguments:
            case "write", [str(model), int(number), bool(works)]:
                world.write(model, number, works)
            case "delete", [str(model), int(number)]:
                world.delete(model, number)
            case "wait", [int(seconds)]:
                world.now += seconds
            case "look", _:
                world.follow(world.plan())
            case "finish", _:
                world.finish_loading()
    world.now += World.SETTLE_S
    for _ in range(3):
        world.finish_loading()
        world.follow(world.plan())

    assert world.plan() == Plan()
    for owner, chosen in world.wanted().items():
        loadable = {version for version in chosen if world.disk[owner][version][2]}
        served = {version for of, version in world.ready if of == owner}
        assert served >= loadable
        assert all(world.ready[owner, each] == chosen[each].stamp for each in loadable)
        if len(loadable) == len(chosen):
            assert served == loadable
