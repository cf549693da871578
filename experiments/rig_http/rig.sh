#!/bin/sh
# A rig in POSIX sh: asks a study for blocks of images, shows them, tells the responses, until the study ends.
#
#   STUDY=v4-unit6 MEASURE=./measure.sh ./rig.sh
#
# Needs curl, sed, unzip and sha256sum; no Python, no jq. It may be killed at any moment, and so may the service: start
# it again with the same FOLDER, and it goes on with the block that it was at. What it is told by these variables:
#
#   SERVICE  URL of the service                                          default http://127.0.0.1:8700
#   STUDY    name of the study
#   NEW      JSON of the study, to make it where the service has none
#   BLOCK    images in a block                                           default 20
#   MEASURE  command that shows a PNG file and prints a number, or `lost` where there was no response
#   FOLDER   for everything that it keeps                                default rig-$STUDY
#   MANGO_TOKEN  token of the service, where it wants one
set -eu

SERVICE=${SERVICE:-http://127.0.0.1:8700}
STUDY=${STUDY:?the name of the study}
MEASURE=${MEASURE:?the command that shows an image and prints the response}
BLOCK=${BLOCK:-20}
FOLDER=${FOLDER:-rig-$STUDY}
JSON='Content-Type: application/json'

mkdir -p "$FOLDER"
(umask 077 && : >"$FOLDER/curlrc")
[ -z "${MANGO_TOKEN:-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$MANGO_TOKEN" >"$FOLDER/curlrc"

say() { printf '%s %s\n' "$(date '+%H:%M:%S')" "$*"; }

fail() {
    say "$*" >&2
    exit 1
}

header() { sed -n "s/^$1: *\([^$CR]*\)$CR*\$/\1/p" "$FOLDER/headers"; } # header NAME: of the last answer, in lower case
CR=$(printf '\r')

message() { sed 's/.*"message": *"\(.*\)", *"request_id".*/\1/' "$out.part" | head -n 1; } # of an error

# call OUT PATH [options of curl]: one request, sent again until it is answered. OUT is the file of the answer. True
# where it was done; else the status is in $status and what the service says in $said.
call() {
    out=$1 path=$2 wait=1
    shift 2
    while :; do
        status=$(curl -sS -K "$FOLDER/curlrc" --max-time 60 -o "$out.part" -D "$FOLDER/headers.part" \
            -w '%{http_code}' "$@" "$SERVICE/v1$path") || status=000
        case $status in
        2??)
            tr 'A-Z' 'a-z' <"$FOLDER/headers.part" >"$FOLDER/headers"
            mv "$out.part" "$out"
            return 0
            ;;
        000 | 408 | 429 | 5??)
            asked=$([ "$status" = 000 ] || sed -n "s/^[Rr]etry-[Aa]fter: *\([0-9]*\).*/\1/p" "$FOLDER/headers.part")
            why=$([ "$status" = 000 ] || message)
            say "no answer ($status) from $SERVICE; again in ${asked:-$wait} s${why:+: $why}" >&2
            sleep "${asked:-$wait}"
            [ $wait -ge 8 ] || wait=$((wait * 2))
            ;;
        *)
            said=$(message)
            return 1
            ;;
        esac
    done
}

# once MARK FILE: shows an image and notes the response as `MARK VALUE`, unless that has been done.
once() {
    if grep -q "^$1 " "$at/answers"; then return 0; fi
    if grep -qx "$1" "$at/shown"; then say "shown a second time, for the first was interrupted: $1"; fi
    echo "$1" >>"$at/shown"
    value=$($MEASURE "$2") || fail "the measurement failed; start again to go on with this image"
    case $value in
    lost | NaN | nan) value=null ;;
    *)
        echo "$value" | grep -Eqx '[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?' ||
            fail "$MEASURE must print a number or 'lost'; it printed '$value'"
        value=$(LC_ALL=C printf '%.17g' "$value") # 5., .25, +3 and 007 are numbers, and no JSON
        ;;
    esac
    echo "$1 $value" >>"$at/answers"
}

# -- the study ------------------------------------------------------------------------------------------------------

if ! call "$FOLDER/study.json" "/studies/$STUDY"; then
    [ "$status" = 404 ] && [ -n "${NEW:-}" ] || fail "$STUDY: $said"
    call "$FOLDER/study.json" /studies -H "$JSON" -d "$NEW" || [ "$status" = 409 ] || fail "$STUDY: $said"
    say "made the study $STUDY"
fi

# -- block after block ----------------------------------------------------------------------------------------------

while :; do
    # The key makes this ask the same one, however often it is sent: the answer is the same block.
    if [ ! -s "$FOLDER/key" ]; then
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$FOLDER/key.new"
        mv "$FOLDER/key.new" "$FOLDER/key"
    fi
    key=$(cat "$FOLDER/key")
    call "$FOLDER/codes" "/studies/$STUDY/ask" -H "$JSON" -H "Idempotency-Key: $key" \
        -H 'Accept: application/octet-stream' -d "{\"n\": $BLOCK}" || fail "ask: $said"
    trials=$(header mango-trials) attempts=$(header mango-attempts) references=$(header mango-references)
    if [ -z "$trials" ]; then
        state=$(header mango-state)
        case $state in finished | exhausted) break ;; esac
        say "no images now: the study is $state"
        sleep 1
        continue
    fi
    at=$FOLDER/block-$key
    if [ ! -d "$at" ]; then # its images, whole or not at all, each with the sum that the manifest says
        call "$FOLDER/block.zip" "/studies/$STUDY/stimuli.zip?numbers=$trials" || fail "stimuli: $said"
        rm -rf "$FOLDER/unpacked"
        unzip -q "$FOLDER/block.zip" -d "$FOLDER/unpacked"
        (cd "$FOLDER/unpacked" && sed -n -e '/"name":/{s/.*: "\(.*\)".*/\1/;h;}' \
            -e '/"sha256":/{s/.*: "\(.*\)".*/\1/;G;s/\n/  /;p;}' manifest.json >sums && sha256sum --quiet -c sums) ||
            fail "the images of this block are damaged; start again to fetch them anew"
        : >"$FOLDER/unpacked/answers"
        : >"$FOLDER/unpacked/shown"
        mv "$FOLDER/unpacked" "$at"
    fi

    place=0
    for number in $(echo "$trials" | tr , ' '); do
        place=$((place + 1))
        attempt=$(echo "$attempts" | cut -d, -f$place)
        once "trial $number $attempt" "$at/${STUDY}_$(printf %06d "$number").png"
        for reference in $(echo "$references" | tr , ' '); do # images that tell how the neuron drifts
            presentation=${reference%%:*} rest=${reference#*:}
            [ "${rest#*:}" = $place ] || continue
            image=$FOLDER/reference-${rest%%:*}.png
            [ -f "$image" ] || call "$image" "/studies/$STUDY/references/${rest%%:*}/stimulus.png" ||
                fail "reference: $said"
            once "reference $presentation" "$image"
        done
    done

    results=$(sed -n 's/^trial \(.*\) \(.*\) \(.*\)/{"number": \1, "attempt": \2, "value": \3}/p' "$at/answers" | paste -sd, -)
    shown=$(sed -n 's/^reference \(.*\) \(.*\)/{"presentation": \1, "value": \2}/p' "$at/answers" | paste -sd, -)
    call "$FOLDER/told.json" "/studies/$STUDY/tell" -H "$JSON" -H "Idempotency-Key: $key" \
        -d "{\"results\": [$results], \"references\": [$shown]}" || fail "tell: $said"
    rm "$FOLDER/key" # from here on the next block is asked
    say "told $(grep -c '^trial' "$at/answers") responses, $(grep -c '^trial.*null$' "$at/answers" || :) of them lost"
done

call "$FOLDER/best.json" "/studies/$STUDY/best" || fail "best: $said"
pattern='^{"trials":\[{"number":\([0-9]*\),"attempt":[0-9]*,"state":"done","origin":"[^"]*","value":\([^,]*\),.*'
best=$(sed -n "s/$pattern/trial \1, \2/p" "$FOLDER/best.json")
say "$STUDY has ended; best: ${best:-none}"
