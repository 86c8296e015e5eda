"""All damages to all files and folders, by hand: `python -m tests.damage [--part K/N] [DRIVER...]`.

Part K of N does each N-th damage, from the K-th on.
"""

import argparse
import os
import sys

from tests import disks
from tests.damage.patient import Patient, damages, recover, suffer

from lamina.snapshot import probe


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--part", default="1/1", metavar="K/N")
    parser.add_argument("drivers", nargs="*", default=probe.DRIVERS)
    wish = parser.parse_args()
    first, of = map(int, wish.part.split("/"))
    failed = 0
    for driver in wish.drivers:
        with disks.memory(driver) as folder:
            os.environ["LAMINA_RUN_ROOT"] = f"{folder}/run"
            os.mkdir(f"{folder}/place")
            patient = Patient(f"{folder}/place", driver)
            patient.furnish()
            others = patient.ids("other:1")
            cases = [(place, way) for place in patient.places() for way in damages(os.path.join(patient.root, place))]
            cases = cases[first - 1 :: of]
            for place, damage in cases:
                try:
                    suffer(patient, place, damage, others)
                    recover(patient, place, damage)
                except AssertionError as error:
                    failed += 1
                    print(f"{driver}: {damage.__name__} {place}: {error}", flush=True)
            print(
                f"{driver}: {len(cases)} damages to {len({place for place, _ in cases})} files and folders", flush=True
            )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
