#!/bin/bash
# chaos.sh with transaction pooling.
CHAOS_POOL=${CHAOS_POOL:-8} CHAOS_SECONDS=${CHAOS_SECONDS:-20} exec bash "$(dirname "$0")/chaos.sh"
