"""Every published number once more, in the shape of the table that it stands in.

Typed from the sources and not from ``claims.yaml``, so that a slip in one of them shows. ``-`` is
no number.
"""

from __future__ import annotations

README = """
row             accuracy     parameters
shd-csilif-128  95.06+-0.37  38.7e3
shd-csilif-512  95.55+-0.28  0.35e6
ssc-silif-10ms  80.11+-0.31  0.35e6
ssc-csilif-4ms  81.59+-0.31  0.35e6
ssc-silif-4ms   82.03+-0.25  0.35e6
sc-silif-512    95.25+-0.12  0.3e6
sc-silif-1024   95.49+-0.09  1.1e6
"""

FIGURE = """
point     accuracy  operations
s5rf      78.8      5437750
cadlif    81.68     8.2e6
csilif    81.98     1.22e7
silif     81.94     9.2e6
eventssm  85.3      98304000
"""
"""Of figure3_partial.png."""

OTHERS = """
claim                          value
page-ssc-spikes                2.04e4
page-sc-spikes                 6.60e3
readme-shd-hours               2
readme-ssc-hours               15
readme-sc-hours                5
readme-shd-train-samples       8332
readme-shd-test-samples        2088
readme-ssc-train-samples       75466
readme-ssc-validation-samples  9981
readme-ssc-test-samples        20382
"""

COUNTED = """
network     shd-128  shd-512  ssc-512  sc-512  sc-1024
silif       38716    351292   359017   307817  1139817
csilif      38460    350268   357993   -       -
cadlif      -        -        357993   -       -
rf          -        -        355945   -       -
"""
