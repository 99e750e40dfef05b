#!/usr/bin/env python3
"""Draws instances and solves them to the optimum with HiGHS: `pip install highspy`, then `regenerate.py`.

`regenerate.py --prove` gives those in `found`, where the search for bad cases puts what it finds, their optima;
`regenerate.py --large` draws those in `large` that are missing, `regenerate.py --large 60x20` what is named, and solves
them as far as a quarter of an hour allows: what is best then is what is known, until a long run of the planner knows
better (`QONNECT_LONG_RUN=1`, see `tests/planning/optima.rs`), which is the first to know where HiGHS comes by nothing;
`regenerate.py --again` solves all small ones once more, after the objective function has changed.

It shares no code with the planner: the values are computed anew from the documented objective function, so that
an optimum that the planner reaches to the last millionth also proves that both read the same sum. Each cluster
has one node, where the sum of what is requested is all there is to packing.
"""

import json
import math
import pathlib
import random
import sys

import highspy

HERE = pathlib.Path(__file__).parent
COUNT, COUNT_WITH_TRAFFIC = 60, 12
TIERS = ["cloud", "fog", "edge"]
WORK_MS, TRAFFIC_BITS, COMMUNICATION, MOVE = 250.0, 25e6, 0.05, 0.05
OVERLAP_HOURS, HORIZON_HOURS = 60 / 3600, 24.0
EGRESS_PRICE, EGRESS_ENERGY = 0.02, 0.001
GB_PER_HOUR_OF_A_BIT_PER_SECOND = 3600 / 8 / 1e9
SECONDS_MAX = 900.0
LARGE = [(60, 20), (120, 20), (200, 40), (300, 50)]


def draw(seed):
    """A small instance; later ones are larger and tighter."""
    return drawn(seed, 3 + seed % 7, 5 + (seed % COUNT * 26) // COUNT)


def drawn(seed, clusters, components):
    rng = random.Random(seed)
    regions = [f"r{n}" for n in range(2 + seed % 3)]
    trips = {a: {b: rng.randint(5, 60) for b in regions if b > a} for a in regions}
    instance = {"clusters": [], "apps": [], "trips": trips}
    tightness = rng.choice([1.15, 1.3, 1.6, 2.5])
    left, app = components, 0
    while left:
        size = min(left, rng.randint(3, 8))
        weights = [rng.randint(1, 10), rng.randint(0, 10), rng.randint(0, 10)]
        parts = []
        for n in range(size):
            calls = []
            for other in range(n):
                if other == n - 1 or rng.random() < 0.15:
                    limit = rng.choice([None, None, None, None, 30, 45])
                    calls.append({"to": other, "limit": limit})
            home = rng.randrange(clusters) if rng.random() < 0.25 else None
            parts.append({
                "tiers": sorted(rng.sample(TIERS, rng.choice([2, 3, 3]))),
                "regions": sorted(rng.sample(regions, len(regions) - 1)) if rng.random() < 0.15 else [],
                "replicas": rng.randint(1, 3), "milli": 100 * rng.randint(2, 12), "mebi": 128 * rng.randint(1, 12),
                "calls": calls, "home": home,
            })
        instance["apps"].append({"weights": weights, "components": parts})
        left, app = left - size, app + 1
    every = [c for a in instance["apps"] for c in a["components"]]
    cpu = sum(c["replicas"] * c["milli"] for c in every) * tightness / clusters
    memory = sum(c["replicas"] * c["mebi"] for c in every) * tightness / clusters
    for n in range(clusters):
        instance["clusters"].append({
            "tier": TIERS[n % 3] if n < 3 else rng.choice(TIERS), "region": rng.choice(regions),
            "milli": int(cpu * rng.uniform(0.7, 1.5)), "mebi": int(memory * rng.uniform(0.8, 1.6)),
            "price_milli": rng.randint(50, 9000), "energy_micro": rng.randint(1500, 5000),
            "bandwidth_mega": 250 * rng.randint(1, 40),
        })
    settle(instance, rng)
    return instance


def with_traffic(seed):
    """An instance whose components say what they call, on clusters that say what it costs to leave them."""
    instance, rng = draw(seed), random.Random(-1 - seed)
    for cluster in instance["clusters"]:
        if rng.random() < 0.7:
            cluster["egress_micro"] = rng.choice([0, 10_000, 20_000, 90_000, 120_000])
            cluster["network_micro"] = rng.choice([100, 1_000, 6_000])
    for part in (part for app in instance["apps"] for part in app["components"]):
        if part["home"] is not None:
            part["state_mega"] = rng.choice([0, 500, 20_000, 400_000])
        for call in part["calls"]:
            if rng.random() < 0.8:
                call["requests"] = rng.choice([0, 1, 5, 50, 400])
                call["send_kilo"], call["receive_kilo"] = 100 * rng.randint(0, 40), 100 * rng.randint(0, 400)
    return instance


def settle(instance, rng):
    """What runs must be allowed to run where it does, and fit beside the rest that runs there."""
    free = [[c["milli"], c["mebi"]] for c in instance["clusters"]]
    for app in instance["apps"]:
        for part in app["components"]:
            home = part["home"]
            if home is None:
                continue
            need = [part["replicas"] * part["milli"], part["replicas"] * part["mebi"]]
            fits = all(n <= f for n, f in zip(need, free[home]))
            calls = any(c["limit"] for c in part["calls"])
            called = any(c["limit"] for p in app["components"] for c in p["calls"])
            if calls or called or not fits or not admits(instance, part, home):
                part["home"] = None
                continue
            free[home] = [f - n for n, f in zip(need, free[home])]


def admits(instance, part, at):
    cluster = instance["clusters"][at]
    return cluster["tier"] in part["tiers"] and (not part["regions"] or cluster["region"] in part["regions"])


def micro(value):
    return int(value * 1e6 + 0.5)


def shares(app):
    return (w / sum(app["weights"]) for w in app["weights"])


def own(app, part, cluster):
    energy, cost, performance = shares(app)
    share = max(part["milli"] / cluster["milli"], part["mebi"] / cluster["mebi"], 1 / 110)
    kwh = part["replicas"] * part["milli"] / 1000 * cluster["energy_micro"] / 1e6
    money = part["replicas"] * cluster["price_milli"] / 1000 * share
    request = WORK_MS / (cluster["milli"] / 1000) + TRAFFIC_BITS / (cluster["bandwidth_mega"] * 1e6) * 1000
    return micro(energy * kwh / 0.001) + micro(cost * money / 1.0) + micro(performance * request / 100.0)


def trip(instance, a, b):
    if a == b:
        return 0
    x, y = sorted([instance["clusters"][a]["region"], instance["clusters"][b]["region"]])
    return 2 if x == y else instance["trips"][x][y]


def transfer(app, gigabytes, cluster):
    """What so many GB that leave a cluster add."""
    energy, cost, _ = shares(app)
    price = cluster.get("egress_micro", EGRESS_PRICE * 1e6) / 1e6
    kwh = cluster.get("network_micro", EGRESS_ENERGY * 1e6) / 1e6
    return micro(cost * price * gigabytes / 1.0) + micro(energy * kwh * gigabytes / 0.001)


def move(instance, app, part):
    """What it adds to be elsewhere than where it runs: what both copies and what is copied add, by the hour."""
    home = instance["clusters"][part["home"]]
    once = own(app, part, home) * OVERLAP_HOURS + transfer(app, part.get("state_mega", 0) / 1000, home)
    return micro(MOVE + once / 1e6 / HORIZON_HOURS)


def communication(instance, app, call, caller, callee):
    if caller == callee:
        return 0
    *_, performance = shares(app)
    said = [c["requests"] for p in app["components"] for c in p["calls"] if "requests" in c]
    weight = call["requests"] * len(said) / sum(said) if "requests" in call and sum(said) else 1
    sum_ = micro((performance + COMMUNICATION) / 100.0 * (weight * trip(instance, caller, callee)))
    for kilo, end in [("send_kilo", caller), ("receive_kilo", callee)]:
        gigabytes = call.get(kilo, 0) * 1000 * GB_PER_HOUR_OF_A_BIT_PER_SECOND
        sum_ += transfer(app, gigabytes, instance["clusters"][end])
    return sum_


def solve(instance):
    """The best plan that is found in time, in millionths, or `None`; and whether it is proved to be the optimum."""
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", SECONDS_MAX)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("threads", 1)
    clusters = range(len(instance["clusters"]))
    parts = [(a, p) for a in instance["apps"] for p in a["components"]]
    x, first = {}, {}
    for i, (app, part) in enumerate(parts):
        first.setdefault(id(app), i)
        for m in clusters:
            c = instance["clusters"][m]
            if admits(instance, part, m) and part["milli"] <= c["milli"] and part["mebi"] <= c["mebi"]:
                cost = own(app, part, c)
                if part["home"] is not None and part["home"] != m:
                    cost += move(instance, app, part)
                x[i, m] = solver.addVariable(lb=0, ub=1, obj=cost / 1e6, type=highspy.HighsVarType.kInteger)
        options = [x[i, m] for m in clusters if (i, m) in x]
        if not options:
            return None, False
        solver.addConstr(sum(options) == 1)
    for i, (app, part) in enumerate(parts):
        for call in part["calls"]:
            j = first[id(app)] + call["to"]
            flow = {}
            for m in clusters:
                for n in clusters:
                    far = call["limit"] is not None and trip(instance, m, n) > call["limit"]
                    if (i, m) in x and (j, n) in x and not far:
                        cost = communication(instance, app, call, m, n)
                        flow[m, n] = solver.addVariable(lb=0, ub=1, obj=cost / 1e6)
            for m in clusters:
                if (i, m) in x:
                    solver.addConstr(sum((flow[k] for k in flow if k[0] == m), 0 * x[i, m]) == x[i, m])
                if (j, m) in x:
                    solver.addConstr(sum((flow[k] for k in flow if k[1] == m), 0 * x[j, m]) == x[j, m])
    for m in clusters:
        for name in ["milli", "mebi"]:
            # What runs keeps its room until it is gone, wherever it goes.
            room = instance["clusters"][m][name]
            room -= sum(p["replicas"] * p[name] for _, p in parts if p["home"] == m)
            terms = [p["replicas"] * p[name] * x[i, m] for i, (_, p) in enumerate(parts)
                     if (i, m) in x and p["home"] != m]
            if terms:
                solver.addConstr(sum(terms) <= room)
    solver.minimize()
    proved = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    value = solver.getInfo().objective_function_value
    return (None if math.isinf(value) else round(value * 1e6)), proved


def main():
    found, seed = 0, 0
    while found < COUNT + COUNT_WITH_TRAFFIC:
        instance = draw(seed) if found < COUNT else with_traffic(seed)
        found, seed = found + prove(instance, HERE / f"{found:02}.json"), seed + 1


def large(names):
    for seed, (components, clusters) in enumerate(LARGE):
        path = HERE / "large" / f"{components}x{clusters}.json"
        if path.stem not in names and (names or path.exists()):
            continue
        instance = drawn(seed, clusters, components)
        best, proved = solve(instance)
        print(path.name, best, proved, file=sys.stderr, flush=True)
        # What a long run of the planner came by stays known.
        known = json.loads(path.read_text()).get("known") if path.exists() else None
        values = [value for value in (best, known) if value is not None]
        write({**({"optimum" if proved else "known": min(values)} if values else {}), **instance}, path)


def again(paths, all_of_them):
    for path in sorted(paths):
        instance = json.loads(path.read_text())
        if all_of_them or "optimum" not in instance:
            prove(instance, path)


def prove(instance, path):
    """Writes an instance of which the optimum can be proved; whether it can."""
    optimum, proved = solve(instance)
    print(path.name, optimum, proved, file=sys.stderr, flush=True)
    if proved:
        write({**instance, "optimum": optimum}, path)
    return proved


def write(instance, path):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(instance, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--prove"]:
            again(HERE.glob("found/*.json"), False)
        case ["--large", *names]:
            large(names)
        case ["--again"]:
            again([*HERE.glob("*.json"), *HERE.glob("found/*.json")], True)
        case _:
            main()
