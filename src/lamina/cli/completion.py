"""`lamina completion`: scripts that have shells ask `lamina __complete` what may come next."""

import argparse

from ..errors import InvalidArgument
from .parser import Parser
from .shell import Shell

BASH = """\
# source <(lamina completion bash)
_lamina() {
    local line before=${COMP_LINE:0:COMP_POINT} word
    word=${before##*[[:space:]]}
    local seen=${word%"${word##*[:=]}"} # bash takes what ends in : or = for a word of its own
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#"$seen"}")
    done < <("${COMP_WORDS[0]}" __complete "$before" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _lamina lamina
"""

ZSH = """\
#compdef lamina
# source <(lamina completion zsh)
_lamina() {
    local -a found
    found=("${(@f)$(lamina __complete "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then compadd -a found; else _files; fi
}
if [[ ${funcstack[1]} == _lamina ]]; then _lamina "$@"; else compdef _lamina lamina; fi
"""

FISH = """\
# lamina completion fish | source
complete -c lamina -a '(lamina __complete (commandline -cp) 2>/dev/null)'
"""

_SHELLS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


def parser(summary: str) -> Parser:
    """Return the command's parser."""
    parser = Parser("lamina completion SHELL", summary)
    parser.arguments(1, 1)
    return parser


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Run the command."""
    (name,) = options.arguments
    if name not in _SHELLS:
        raise InvalidArgument(f"no completion for {name!r}: there are {', '.join(_SHELLS)}")
    shell.out(_SHELLS[name])
    return 0
