#!/bin/sh
# Sets up the course: finds Python, makes .venv, installs into it what requirements.lock pins.
# The Makefile runs it before everything else; when nothing is left to do it ends at once.
#
# PYTHON         the Python to use; otherwise the first suitable one on the PATH
# TORCH_BACKEND  cpu: the small PyTorch for Linux machines without an NVIDIA card; otherwise PyPI's,
#                or what was chosen before (uv's names: cpu, cu128, ..., and default for PyPI's)
set -eu
cd "$(dirname "$0")"

python=.venv/bin/python
stamp=.venv/resnet-edu.stamp  # project folder, backend, Python version, sums of the two files
log=.venv/install.log

fail() {
    printf '\nThe set-up stopped: %s\n' "$1" >&2
    exit 1
}

remedy="Run \`make clean\`, then the same command again."

# Prints version, system and True where pip can be put into a new environment.
probe='
import importlib.util, platform, sys
whole = all(map(importlib.util.find_spec, ("venv", "ensurepip")))
print("%d.%d" % sys.version_info[:2], platform.system() + "-" + platform.machine(), whole)
'

# Prints the modules that are not where they should be, without importing them.
missing='
import importlib.util
for name in """
    IPython ipykernel ipywidgets jupyterlab jupyterlab_widgets jupytext keras matplotlib nbval numpy
    PIL playwright psutil pycocotools pytest resnet_edu ruff safetensors sklearn torch torchvision tqdm traitlets
    xdist
""".split():
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        print(name)
'

# Runs uv: its output goes to the log and, up to an error or the long list at the end, to the person.
# On a terminal uv gets one of its own, so that it draws its progress bars.
relay='
import os, pty, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
log = open(sys.argv[1], "ab", buffering=0)
quiet_from = (b"error", b"\xc3\x97 ", b"Traceback", b"nstalled")
def read(fd, data=None):
    data = data or os.read(fd, 4096)
    try:
        log.write(data)
    except OSError:  # the disk is full
        pass
    if any(word in data for word in quiet_from):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return data
if os.isatty(0) and os.isatty(1):
    sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
for line in process.stdout:
    os.write(1, read(None, line))
sys.exit(process.wait())
'

new_enough() {
    case $1 in
        3.1[1-9] | 3.[2-9][0-9]) ;;
        *) return 1 ;;
    esac
}

# Sets found, version and system to the first Python that will do.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11 python
    fi
    seen="" without_venv="" version=""
    for found in "$@"; do
        answer=$("$found" -c "$probe" 2>/dev/null) || continue
        read -r version system whole <<END
$answer
END
        if ! new_enough "$version"; then
            seen="$seen ($found is Python $version.)"
        elif [ "$system" = Darwin-x86_64 ]; then
            fail "PyTorch is no longer built for Macs with an Intel processor.
Use conda, which has builds of its own: see README.md, \"With conda\"."
        elif [ "$whole" = True ]; then
            return
        else
            without_venv=${without_venv:-$version}
        fi
    done
    [ -z "$without_venv" ] || fail "Python $without_venv has no venv module.
On Debian and Ubuntu run \`sudo apt install python$without_venv-venv\`, then the same command again."
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is ${version:+Python $version, }not a working Python 3.11 or newer.
Give the path of one that is, for example \`make lab PYTHON=/usr/bin/python3.12\`."
    fail "no Python 3.11 or newer was found.$seen
Install one (python.org, \`sudo apt install python3-venv\`, \`brew install python@3.12\`), then run the
same command again; \`make lab PYTHON=/path/to/python\` chooses one that is not on the PATH."
}

write_stamp() {
    (printf '%s\n' "$folder" "$backend" "$version" "$1" >"$stamp") 2>/dev/null ||
        fail "the folder $folder cannot be written to, or the disk is full.
Copy the course to a folder of your own with enough space and run the same command there."
}

# Says why the last command failed, in one sentence.
explain() {
    free=$(df -Pk . | awk 'NR == 2 { print $4 }')
    said() { grep -Eiq "$1" "$log"; }
    if said 'no space left|quota exceeded' || [ "$free" -lt 51200 ]; then
        reason="the disk is full.
Free some space (this needs $disk), then run the same command again."
    elif said 'connect|dns error|name resolution|unreachable|timed out|timeout|failed to fetch'; then
        reason="the packages could not be downloaded.
Check your internet connection (behind a proxy, set HTTPS_PROXY), then run the same command again:
what has been downloaded is kept."
    elif said 'platform tag|python abi|no wheels|current platform'; then
        reason="a package has no build for this computer ($system, Python $version).
Try another Python (\`make lab PYTHON=python3.12\`) or conda (see README.md)."
    else
        reason="$1 failed.
$remedy If that does not help, please report the end of the log."
    fi
    fail "$reason
The details are in $log."
}

stopped() {
    printf '\nStopped. Run the same command again to go on.\n' >&2
    exit 130
}
trap stopped INT TERM

folder=$(pwd -P)
sums=$(cksum requirements.lock pyproject.toml)
backend=${TORCH_BACKEND:-}
case $backend in
    "" | default | auto | cpu | cu[0-9]* | rocm[0-9]* | xpu) ;;
    *) fail "TORCH_BACKEND=$backend is not a build of PyTorch.
Use TORCH_BACKEND=cpu, or leave it out." ;;
esac
state=""

# What an earlier run left here.
if [ -f "$stamp" ]; then
    { read -r old_folder && read -r old_backend && read -r old_version; } <"$stamp" || old_folder=""
    state=$(sed 1,3d "$stamp")
    backend=${backend:-$old_backend}
    reason=""
    if [ -n "${PYTHON:-}" ]; then
        find_python
        [ "$version" = "$old_version" ] || reason="another Python, $version"
    fi
    answer=$("$python" -c "$probe" 2>/dev/null) || answer=""
    version=${answer%% *}
    [ -z "$answer" ] || [ "$version" = "$old_version" ] || reason="another Python, $version"
    [ "$backend" = "$old_backend" ] || reason="another build of PyTorch"
    [ "$folder" = "$old_folder" ] || reason="the folder was moved"
    [ "$state" != unfinished ] || reason="the last set-up did not finish; downloads are kept"
    if [ -n "$reason" ]; then
        echo "Making .venv anew ($reason)."
        rm -rf .venv 2>/dev/null || true
    fi
fi
backend=${backend:-default}

if [ -e .venv ]; then
    answer=$("$python" -c "$probe" 2>/dev/null) ||
        fail "the folder .venv is broken: its Python does not start.
$remedy"
    read -r version system whole <<END
$answer
END
    new_enough "$version" || fail "the folder .venv was made with Python $version; 3.11 or newer is needed.
$remedy"
else
    find_python
    mkdir .venv 2>/dev/null || true
    state=""
    write_stamp unfinished
fi

if [ "$state" != "$sums" ]; then
    write_stamp unfinished
    : >"$log"
    case $backend-$system in
        default-Linux*)
            download="about 3 GB" disk="6 GB"
            hint="No NVIDIA card? Press Ctrl-C and add TORCH_BACKEND=cpu to the command: 2.5 GB less." ;;
        *) download="about 0.5 GB" disk="2 GB" hint="" ;;
    esac
    if [ -n "$state" ]; then
        echo "The list of packages has changed: updating .venv."
    else
        echo "Setting up the course in .venv with Python $version. This is needed once."
        echo "It downloads $download ($disk on disk): some minutes, by your connection."
        [ -z "$hint" ] || echo "$hint"
    fi
    if ! [ -x "$python" ]; then
        "$found" -m venv .venv >>"$log" 2>&1 || explain "making .venv"
    elif ! "$python" -c 'import pip' 2>/dev/null; then  # a .venv made by uv has none
        "$python" -m ensurepip >>"$log" 2>&1 || explain "installing pip"
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --retries 2 uv >>"$log" 2>&1 ||
        explain "installing uv"
    set -- --python "$python" --editable ".[dev]" --constraint requirements.lock
    [ "$backend" = default ] || set -- "$@" --torch-backend="$backend"
    status=0
    "$python" -c "$relay" "$log" "$python" -m uv pip install "$@" || status=$?
    case $status in
        0) ;;
        130 | 254) stopped ;;  # Ctrl-C went to uv, which had the terminal
        *) explain "installing the packages" ;;
    esac
    # JupyterLab should not greet a learner with the question whether to fetch news.
    settings=.venv/share/jupyter/lab/settings
    mkdir -p "$settings"
    echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' \
        >"$settings/overrides.json"
    echo "Done."
fi

# From another folder: in this one resnet_edu is found in any case.
lost=$(here=$PWD && cd / && "$here/$python" -c "$missing") || lost="part of Python"
[ -z "$lost" ] || fail "the folder .venv is broken, parts of it are missing ($(echo $lost)).
$remedy"
[ "$state" = "$sums" ] || write_stamp "$sums"
