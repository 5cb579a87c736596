# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for lxcfs(8). Options are what the program itself says, so they cannot fall behind.

_lxcfs() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} options

	# "--inspect=4" comes in three words
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $prev in
	--inspect) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$cur") ;;
	-p | --pidfile) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	-o) ;;
	*)
		if [[ $cur == -* ]]; then
			options=$("$1" --help 2>/dev/null | sed -n 's/^ *\(-.*[^ ]\)   *.*$/\1/p' |
				sed 's/=[A-Z]*/=/; s/ [A-Z]*$//; s/,//g')
			mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
			[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
		else
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		fi
		;;
	esac
}
complete -o filenames -F _lxcfs lxcfs
