"""Every published number once more, in the shape of the table that it stands in.

Typed from the sources and not from ``claims.yaml``, so that a slip in one of them shows. ``-`` is
no number.
"""

from __future__ import annotations

QUOTED = """
claim                            value
leaderboard-shd-radlif-accuracy  94.6
delrec-ssc-radlif-accuracy       77.40
delrec-ssc-radlif-parameters     3.9e6
notes-shd-radlif-accuracy        94.62
notes-shd-adlif-accuracy         93.06
notes-shd-lif-accuracy           87.04
unnamed-shd-gru-accuracy         90.40
unnamed-shd-libru-accuracy       89.61
unnamed-ssc-gru-accuracy         79.05
unnamed-ssc-libru-accuracy       78.70
edskws-sc-adlif-128-accuracy     90.46
edskws-sc-adlif-512-accuracy     93.12
edskws-sc-adlif-128-parameters   27.63e3
edskws-sc-adlif-512-parameters   306.80e3
brf-shd-radlif-parameters        3893288
memory-sc-radlif-accuracy        94.51
memory-sc-radlif-parameters      1.2e6
memory-shd-radlif-parameters     3.9e6
readme-shd-train-samples         8332
readme-shd-test-samples          2088
readme-ssc-train-samples         75466
readme-ssc-validation-samples    9981
readme-ssc-test-samples          20382
"""

SIZES = """
model shd-128 shd-512 shd-1024 ssc-128 ssc-512 ssc-1024 hd-128 hd-512 hd-1024 sc-128 sc-512 sc-1024
lif 109372 633916 1792060 111337 641641 1807465 24892 295996 1116220 26857 303721 1131625
adlif 110140 636988 1798204 112105 644713 1813609 25660 299068 1122364 27625 306793 1137769
rlif 142140 1158204 3889212 144105 1165929 3904617 57660 820284 3213372 59625 828009 3228777
radlif 142908 1161276 3895356 144873 1169001 3910761 58428 823356 3219516 60393 831081 3234921
mlp 109096 632872 1789992 111046 640582 1805382 24616 294952 1114152 26566 302662 1129542
rnn 141864 1157160 3887144 143814 1164870 3902534 57384 819240 3211304 59334 826950 3226694
ligru 281128 2304040 7753768 283078 2311750 7769158 112168 1628200 6402088 114118 1635910 6417478
gru 420392 3450920 11620392 422342 3458630 11635782 166952 2437160 9592872 168902 2444870 9608262
"""

VARIANTS = """
model   4-layers  no-norm  layernorm-bias  bidirectional
lif     126140    108820   109648          128316
adlif   127292    109588   110416          129084
rlif    175292    141588   142416          161084
radlif  176444    142356   143184          161852
mlp     125736    108544   109372          -
rnn     174888    141312   142140          160808
ligru   347176    280064   281660          316456
gru     519464    418816   421180          472104
"""
"""Of the networks with 128 neurons on SHD."""
