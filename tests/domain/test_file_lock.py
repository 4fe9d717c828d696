import subprocess
import sys
from pathlib import Path

from domain.file_lock import held

HOLDER = """
import sys, time
from pathlib import Path
from domain.file_lock import held
with held(Path(sys.argv[1])) as is_alone:
    print(is_alone, flush=True)
    time.sleep(60)
"""


def test_who_is_killed_lets_go_and_who_is_patient_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "True\n"
        with held(file) as is_alone:
            assert not is_alone
        holder.kill()
    with held(file, is_patient=True) as is_alone:
        assert is_alone
    with held(file) as first, held(file) as second:
        assert (first, second) == (True, False)
