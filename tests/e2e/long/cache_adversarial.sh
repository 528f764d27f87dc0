#!/bin/bash
# Every case of the adversarial list. Minutes, as most of them change the catalog and wait until the cache has looked at it again.
exec bash "$(dirname "$0")/../cache_adversarial.sh" .
