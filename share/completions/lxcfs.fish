# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for lxcfs(8). Options are what the program itself says, so they cannot fall behind.

function __lxcfs_options
    set -l program (commandline -opc)[1]
    # "  -p, --pidfile=FILE   says": the long name, and what it says; those below are told there
    $program --help 2>/dev/null | string replace -rf '^ *(?:-., |  )?(--[a-z-]+=?)[A-Z]* +(.*)$' '$1\t$2' |
        string match -rv '^--(inspect|pidfile)='
end

complete -c lxcfs -f -a '(__fish_complete_directories)'
complete -c lxcfs -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__lxcfs_options)'
complete -c lxcfs -l inspect -x -a '(__fish_complete_pids)'
complete -c lxcfs -s p -l pidfile -r -F
