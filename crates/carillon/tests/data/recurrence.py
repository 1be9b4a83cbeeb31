#!/usr/bin/env python3
"""Writes recurrence.json: rules expanded by python-dateutil, an independent judge of ours.

    python3 crates/carillon/tests/data/recurrence.py

Made once with python-dateutil 2.9.0; the seed is fixed, so it writes the same again.
"""
import datetime as calendar
import json
import pathlib
import random
from datetime import datetime, timedelta

from dateutil.rrule import rrulestr

# It looks for an instance up to here, also where there is none.
calendar.MAXYEAR = 2036

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
MOST = 12


def some(random, among, least=1, most=3):
    return random.sample(among, random.randint(least, most))


def joined(values):
    return ",".join(str(v) for v in values)


def rule(random):
    freq = random.choice(["DAILY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY"])
    parts = [f"FREQ={freq}"]
    if random.random() < 0.5:
        parts.append(f"INTERVAL={random.randint(2, 6)}")
    if random.random() < 0.25:
        parts.append("WKST=" + random.choice(DAYS))
    months = random.random() < 0.35
    if months:
        parts.append("BYMONTH=" + joined(some(random, range(1, 13))))
    placed = False
    if freq == "YEARLY" and random.random() < 0.25:
        # None at a year's ends: RFC 5545 does not say which year the days of such a week belong to
        # that lie in another one, and the judge counts 2022-01-01 to a week 53 that 2021 had not.
        parts.append("BYWEEKNO=" + joined(some(random, [2, 10, 20, 37, 51])))
        parts.append("BYDAY=" + joined(some(random, DAYS)))
    elif freq == "YEARLY" and random.random() < 0.25:
        parts.append("BYYEARDAY=" + joined(some(random, [1, 59, 60, 100, 365, 366, -1, -100, -366])))
    else:
        if random.random() < 0.6:
            days = some(random, DAYS, 1, 5)
            if freq in ("MONTHLY", "YEARLY") and random.random() < 0.6:
                far = 5 if freq == "MONTHLY" or months else 52
                days = [f"{random.choice([-1, 1]) * random.randint(1, far)}{d}" for d in days]
            parts.append("BYDAY=" + joined(days))
            placed = True
        if freq != "WEEKLY" and random.random() < 0.4:
            parts.append("BYMONTHDAY=" + joined(some(random, [1, 2, 13, 15, 28, 29, 30, 31, -1, -2, -31])))
            placed = True
        # The judge counts a first week from its start on, we as RFC 5545 a whole one.
        if placed and freq != "WEEKLY" and random.random() < 0.3:
            parts.append("BYSETPOS=" + joined(some(random, [1, 2, 3, -1, -2], 1, 2)))
    if random.random() < 0.3:
        parts.append(f"COUNT={random.randint(1, 9)}")
    return ";".join(parts)


def main():
    draw = random.Random(5545)
    cases = []
    while len(cases) < 400:
        start = datetime(1996, 1, 1, 7, 30) + timedelta(days=draw.randrange(0, 366 * 30))
        text = rule(draw)
        end = start.replace(year=start.year + 9, day=min(start.day, 28))
        found = []
        for at in rrulestr(text, dtstart=start):
            if at > end or len(found) == MOST:
                break
            found.append(at.date().isoformat())
        # What has more than these goes on behind the last; what has fewer ends here.
        cases.append({"start": start.isoformat(), "rule": text, "end": end.isoformat(), "days": found})
    lines = ",\n".join(json.dumps(case) for case in cases)
    pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")


main()
