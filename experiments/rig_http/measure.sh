#!/bin/sh
# measure.sh FILE.png: shows an image and prints the response: a number, or `lost`.
#
# This one is for rehearsals: the image goes to a simulated neuron (python -m experiments.rig_http.neuron).
# A rig's own shows the file on its screen, counts spikes, and prints how many.
exec curl -sSf --max-time 60 -H 'Content-Type: image/png' --data-binary "@$1" "${NEURON:-http://127.0.0.1:8701}"
