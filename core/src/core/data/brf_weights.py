"""Weights of the BRF paper's authors and of the repository this project follows: 51 files.

Their names say little or, in the authors' repository, everything; here each has a short one, by
which ``papers/brf`` knows it.
"""

from __future__ import annotations

from urllib.parse import quote

from core.data.sources import DataSource, SourceFile

# Columns: name here; size and sha256 as published; the same without the state of the optimiser, as
# copies of the larger files are handed on; path.
_AUTHORS = """
orig_ecg_brf.pt 41510 7447cfb5006759c095218e3ae757029d79213463899fdcf3961471d7dd8f4e16 - - experiments/ecg/models/09-25_23-50-01_Adam(0.1),NLL,LinearLR,no_gc,RFSNN(4,36,6,sub_seq_length=0,bs=16,ep=400),RF(thres(0),abs(omega_uni(3.0,5.0)),sust_osc,abs(b_offset(uni(0.1,1.0))-q,theta(1),LinearMask(0.0))LI(20.0,1.0).pt
orig_ecg_rf.pt 30659 3055c531cf1c3314501d34ee405005454da546670a8ab8acdf763a5422ba505f - - experiments/ecg/models/05-21_13-51-07_217_Adam(0.1),NLL,LinearLR,no_gc,4,36,6,bs=16,ep=400,VRF(omega3.0,5.0,b0.1,1.0,NoR)LI(20.0,1.0).pt
orig_ecg_alif.pt 39709 761784b3cd1d4984e349c589e168f6d7b39ed2d8701fa99f2c9c3411e2fa659a - - experiments/ecg/models/10-06_14-07-40_Adam(0.05),NLL,LinearLR,no_gc,RSNN(4,36,6,sub_seq_10,bs_64,ep_400,h_o_bias(False)),ALIF(tau_m(20.0,0.5),tau_a(7.0,0.2),linearMask_0.0)LI(tau_m(20.0,0.5)).pt
orig_shd_brf.pt 1744120 126a6f78db17b1be3e8ad7d5d66dd9d3d7701bbd666496d1fe9e98da7422638b 862417 86f20f8fe567490f036961782da73d1b7f0cf834e6671aa7a13f86abd839ac89 experiments/SHD/models/09-25_21-35-30_Adam(0.075),NLL,LinearLR,LabelLast(False,no_gc),RFSNN(700,128,20,sub_seq_length_0,bs_32,ep_20),RF(abs_omega_uni_5.0_10.0,abs_b_offset_uni_2.0,3.0-q,linearMask(0.0))LI(norm(20.0,5.0)).pt
orig_shd_rf.pt 1316235 87b5c2404cd60793c9c50bef2a01504a314363974abba838bb87c881c1bae349 438149 9f710eea32490768d9de253e609fca514f58296645d7edfd0dadcad31e57075a experiments/SHD/models/05-23_21-36-09_2069_Adam(0.075),NLL,LinLR,LL(False,no_gc),700,128,20,bs_32,ep_20,VRF(omega5.0,10.0b2.0,3.0,Nr)LI(20.0,5.0).pt
orig_shd_alif.pt 1743524 5835d01761697634b307a5db9eaa2d4588c154e2434c70040cd8a172a5d3e639 862429 18c4e3baa9f15ef144c2d9291d42d32f6ad62f9ef3a5fcef7bf93377cf2a1a4e experiments/SHD/models/10-05_00-18-24_Adam(0.075),NLL,LinearLR,LabelLast(False),no_gc,RSNN(700,128,20,sub_seq(10),bs_32,ep_20_no_bias),ALIF(tau_m(20.0,5.0),tau_a(150.0,10.0),linearMask_0.0)LI(tau_m(20.0,5.0)).pt
orig_smnist_brf.pt 1105100 dd042842b41045dad12972baf3bb615f0fd2bf56c455cb138a71a648762fa480 541877 b4bbf5c5f6977cffc7a780dd4463008bf6e98b375e9a44a53971a3efc8808a94 experiments/smnist/models/09-29_22-56-26_Adam(0.1),NLL,LinearLR,LabelLast(True),PERMUTED(False),RFSNN(1,256,10,bs=256,ep=300),RF(abs(omega_uni(15.0,50.0)),sust_osc,abs(b_offset(uni(0.1,1.0))-q,theta(1),linearMask(0.0))LI(norm_20.0,5.0).pt
orig_smnist_rf.pt 1104916 456e717fdd3687c55457867ceb8ca060177f6a959d2aac124baf41a854aab21e 541865 8472a8d794f839f68d981ddfbb1c5572f66af440083edce2f823ef3f15549dfe experiments/smnist/models/12-15_00-43-36__2337_Adam(0.1),NLL,LinearLR,LabelLast(True),PERMUTED(False),RFSNN(1,256,10,bs=256,ep=300),RF(abs(omega_uni(15.0,50.0)),no_sust_osc,-abs(b(uni(0.1,1.0)),linearMask(0.0))LI(norm_20.0,5.0).pt
orig_smnist_alif.pt 1103580 b427e03a6251f91feb3db8126a94bde7374153144ba733a959542f0507b5c06f 541889 0bd3ed6da49ce8032d4c8e15c6854aca31911b4306a987ebfa4838d54a91d402 experiments/smnist/models/10-10_18-33-56_Adam(0.001),PERMUTED(False),LinearLR,NLL,LabelLast(True),TBPTT(50),RSNN(1,256,10,bs_256,ep_300,no_bias),ALIF(tau_m(20.0,5.0),tau_a(200.0,50.0),linearMask(0.0))LI(tau_m(20.0,5.0)).pt
orig_psmnist_brf.pt 1105100 5f69282d924fbc987b937a94771e964d970d9e1aaf7fbaa8ba5e4445ef5cd914 541889 ff718a5451635448339c0a279395622e269a62821777871ed981ed2f04d0f610 experiments/smnist/models/10-08_12-39-46_Adam(0.1),NLL,LinearLR,LabelLast(False),PERMUTED(True),RFSNN(1,256,10,bs=256,ep=300),RF(abs(omega_uni(15.0,85.0)),sust_osc,abs(b_offset(uni(0.1,1.0))-q,theta(1),linearMask(0.0))LI(norm_20.0,1.0).pt
orig_psmnist_rf.pt 544063 ee47430f9dd22a0bac06dfc0057677440933118f84cc24903cfdeaac8877a1f7 541877 c4edf034ef9324a58c24712b65fdc5515a17fffb6ef5781c03130a4e06bbc524 experiments/smnist/models/12-16_00-55-23__1334_Adam(0.1),NLL,LinearLR,LabelLast(False),PERMUTED(True),RFSNN(1,256,10,bs=256,ep=300),RF(abs(omega_uni(15.0,85.0)),nothing,abs(b(uni(0.1,1.0)),linearMask(0.0))LI(norm_20.0,1.0).pt
orig_psmnist_alif.pt 1103580 994dfebfacaa93414ec249d5863b35a42110db379e05fa0859e17cc84f54246d 541901 9ba43dd5cd5e33438c69eba694d13aa531a205542e899929c16bef3b8019da37 experiments/smnist/models/10-09_13-58-21_Adam(0.001),PERMUTED(True),LinearLR,NLL,LabelLast(False),TBPTT(50),RSNN(1,256,10,bs_256,ep_300,no_bias),ALIF(tau_m(20.0,5.0),tau_a(200.0,50.0),linearMask(0.0))LI(tau_m(20.0,5.0)).pt
orig_psmnist_brf_perm.pt 8301 bbf2107b012b90cd686e17bc6caeca953aaa5af095a90c9d3e7b96a146805b28 - - experiments/smnist/models/10-08_12-39-46Adam(0.1),NLL,LinearLR,LabelLast(False),PERMUTED(True),RFSNN(1,256,10,bs=256,ep=300),RF(abs(omega_uni(15.0,85.0)),sust_osc,abs(b_offset(uni(0.1,1.0))-q,theta(1),linearMask(0.0))LI(norm_20.0,1.0)_permuted_idx.pt
orig_psmnist_alif_perm.pt 8189 84403100019cfd59420d868771237b1085d4f93835bfd6a50723fdb9a6278215 - - experiments/smnist/models/10-09_13-58-21Adam(0.001),PERMUTED(True),LinearLR,NLL,LabelLast(False),TBPTT(50),RSNN(1,256,10,bs_256,ep_300,no_bias),ALIF(tau_m(20.0,5.0),tau_a(200.0,50.0),linearMask(0.0))LI(tau_m(20.0,5.0))_permuted_idx.pt
"""  # noqa: E501  one file per line

_SEED_REPOSITORY = """
repro_ecg_brf.pt 32403 72eb99ac622f185a04811eeb49a6eb95a58db8b28c1a51e23d69f907ce398d49 - - experiments/ecg/models/BRF.pt
repro_ecg_brf_init.pt 12106 a80302bf51653a1e0a8439a1fdb54a65490afd78a33a2d9757ea65007d760e98 - - experiments/ecg/models/BRF_init.pt
repro_ecg_rf.pt 32403 cd0c2f68685c0af5b36678a301ec1a7e5b83cf13903648265f834b9393850b3a - - experiments/ecg/models/RF.pt
repro_ecg_rf_init.pt 12106 2b327823584c876c5102e3aba11bdb866559dfcb1aafa6993a0787d4820a98cb - - experiments/ecg/models/RF_init.pt
repro_ecg_alif.pt 39857 01ecc72385ad206ba272b8d88c20cddfb01aa5a1fb9629042e33e713c3cbf64d - - experiments/ecg/models/ALIF.pt
repro_ecg_alif_init.pt 14335 b87e6478925c3a4c8ba8ae15431ed96137ea0754f86a3392b6df95f6d2a7a27f - - experiments/ecg/models/ALIF_init.pt
repro_shd_brf.pt 1318335 b09b334379be5deefc7115045ab6438eeb9dc0ba3a2b7469fb9da5c01c995a8f 438171 01f667442ba38c37bb0ef9e250954c2f60e7bc61f034fc5dab5b4506a9b623f9 experiments/SHD/models/BRF.pt
repro_shd_brf_init.pt 440932 b2f763b526845fd76dc852211e0c06c329940732174acc3a31ec4fe1ed62fae2 - - experiments/SHD/models/BRF_init.pt
repro_shd_rf.pt 1317717 ef106a400f1000e7907c295830b520a0e9fa82433077e98f628ff7d4565c8311 438160 92a0c004e3b29aeae612fc30d654cf266348027a0e8cde81282fbf71eddd9178 experiments/SHD/models/RF.pt
repro_shd_rf_init.pt 440449 38af0a844ecc826238d0e63d7a87b4a0c6d5d167077b22a0a17ad93cb1183338 - - experiments/SHD/models/RF_init.pt
repro_shd_alif_init.pt 443316 40c3ebf317ef40229502494221b2b1f450091d751eadaee00606e26099cbba3e - - experiments/SHD/models/ALIF_init.pt
repro_shd_linear_brf.pt 1326627 ab77d1a5fb6cc1e0c5b2961b5b97a9905b97ce1439e4c7ff3913ae57b2162dec 439418 edf04c56464b11282a3b27371849ab11659cd0c93bd3317f80a53cb9fa274822 experiments/SHD/models/linear_BRF.pt
repro_shd_linear_brf_init.pt 443316 46859af60ca7b1af589f83b4a4efed377a78ea77e4bc8c58689df066c4c0039a - - experiments/SHD/models/linear_BRF_init.pt
repro_smnist_brf.pt 838207 009702a89bff48c51eff591d36a07f8061bc2a890daa22ec87e76634d768a755 278460 b6d62678978be2b664de767f5d0797c2445a328ea648963b97d7a4b3776813d3 experiments/smnist/models/SMNIST_BRF.pt
repro_smnist_brf_init.pt 279365 be631c813d1fe6fe19bd387bb66f17d1bd2451a7453cffc8d426ad636fad6f5b - - experiments/smnist/models/SMNIST_BRF_init.pt
repro_smnist_rf.pt 838207 08dc6ba68691151a6aaacfc4f38d12fdce487db6c24b41d5ad43d294e5ccd20a 278449 4deeccd5f49f3b65ef44c5137057b299a4a07b3e44e92c268a56019bf8e69cea experiments/smnist/models/SMNIST_RF.pt
repro_smnist_rf_init.pt 279365 eb9eec249d2317fd63550bf2c6dc3715e64c6e3ed28b81a03c7d3931127f352c - - experiments/smnist/models/SMNIST_RF_init.pt
repro_smnist_alif.pt 847615 8c767b8b0b11c9182da39b6091ac26ff699de60257e51c567b96f7d90da0221d 280019 232910e85023c1446df7a95c0fa68d17d251b988a01577a2590980ab904a09e8 experiments/smnist/models/SMNIST_ALIF.pt
repro_smnist_alif_init.pt 282241 fa597c7b88bda206b960e6c8e5b208ffd1df5216d73acc7374ed305c1f51f8f0 - - experiments/smnist/models/SMNIST_ALIF_init.pt
repro_psmnist_brf.pt 837801 d53305a35227c53d52502a850d2c4890e6ee5aa335b4892819734130be06e8aa 278471 93af60cf9e6baff055d20553832511bc52bc396c37b044a6e2e98e3dc1e79777 experiments/smnist/models/PSMNIST_BRF.pt
repro_psmnist_brf_init.pt 279358 78d9446061277a295cb65638bb3ca03a4ce14a55bf516667b34cf40ba07dea13 - - experiments/smnist/models/PSMNIST_BRF_init.pt
repro_psmnist_brf_perm.pt 7158 0a37f89731ad5623469096cc4b5b3adee573f92ca71af844ae559937a9e10c6d - - experiments/smnist/models/PSMINST_BRF_permuted.pt
repro_psmnist_alif.pt 847585 21fb6fe0a4d658433a80e4e62d2718f7ca7995c19dc9a653b48f27549d8f7f8b 280032 f1c94625a2c4f0885f4520a3407b527c23b260a95c87fbde248073769545fa7a experiments/smnist/models/PSMNIST_ALIF.pt
repro_psmnist_alif_init.pt 282232 298b68ffd6cdbf8fbf66f2a8be6a9ebf45607f4a8dd26b9612ef59a6a00c03c7 - - experiments/smnist/models/PSMNIST_ALIF_init.pt
repro_psmnist_alif_perm.pt 8183 61cc712474203e73cfc2e6b3cb42d7e901eab55ed1c4a3ad53ec33340474c2d0 - - experiments/smnist/models/PSMNIST_ALIF_permuted.pt
repro_smnist_brf_spikeloss_1e-7.pt 838207 e7bfb20410fc855d8ccfcd536f2cf48a3366dd873ff748e274b87ddfb376d0ca 278689 1d44c72d7e7e23f926c234a721ce9e53fac4883675cb8efc7c218c67524cf089 experiments/smnist/models/SMNIST_BRF_0.7Loss.pt
repro_smnist_brf_spikeloss_1e-7_init.pt 279365 5e966bef47ec877df73016f695149a207919c5f35517be859d80cfa1820f5864 - - experiments/smnist/models/06-11_18-38-48_init_7683_Adam(0.1),NLL,script-bw,LinLR,LL(False),PERMUTED(False),1,256,10,bs=256,ep=150,BRF_omega15.0_50.0b0.1_1.0,LI20.0_5.0.pt
repro_smnist_brf_spikeloss_1e-6.pt 838207 1e2cb2bbe2c08be34f7c3ea563d431a71d704c6a26d7ffa9241fa77611e85311 278689 6db84702bce6acec11d1fb0ae311799141735321974f05da31b023f8a2d13b53 experiments/smnist/models/SMNIST_BRF_0.6Loss.pt
repro_smnist_brf_spikeloss_1e-6_init.pt 279365 7fb9074261547b2bc55bdf52aeab017f9ac22b415ce731137bc033f407010344 - - experiments/smnist/models/06-12_09-44-01_init_3638_Adam(0.1),NLL,script-bw,LinLR,LL(False),PERMUTED(False),1,256,10,bs=256,ep=150,BRF_omega15.0_50.0b0.1_1.0,LI20.0_5.0.pt
repro_smnist_brf_spikeloss_1e-5.pt 838207 b67d645e6e600d1e8570922bc1891ec945de10d942cc2440e23bb2a2cd3d2b29 278689 4b5fa68154d6ff0281213c783f4bffef4f88817b8d85db19dd23eacfee518d52 experiments/smnist/models/SMNIST_BRF_0.5Loss.pt
repro_smnist_brf_spikeloss_1e-5_init.pt 279365 d71831319e38764c11ca190cb4a3eead8847d0f41e58ba709e9248d35af25e3a - - experiments/smnist/models/06-12_15-04-08_init_5994_Adam(0.1),NLL,script-bw,LinLR,LL(False),PERMUTED(False),1,256,10,bs=256,ep=150,BRF_omega15.0_50.0b0.1_1.0,LI20.0_5.0.pt
repro_gsc_brf.pt 284682 5708058288e76eb31611d08802f3a0ef9f9f517a906ac7df8a6e00f9edd8ecfe - - gsc-experiments/models/BRF.pt
repro_gsc_brf_init.pt 95611 8e59336d246f0d2aa4c2a90125c67c80e032cafc73f97827b5fe3a6b3b3d6c85 - - gsc-experiments/models/BRF_init.pt
repro_gsc_rf.pt 284682 54c6f89b6508aa5bcf913785e0620a8f74bbe3c3eeda9a2f9e191bfcbf60b5dc - - gsc-experiments/models/RF.pt
repro_gsc_rf_init.pt 95611 9affc28b09c0b5ad23a2533e82df1855bdb460d40872752359aa1368c606c9fa - - gsc-experiments/models/RF_init.pt
repro_gsc_alif.pt 293506 e296da591c0a2eabfa123fa19f91e01f0726edb9dd98baefb905dc0ce7e52000 - - gsc-experiments/models/ALIF.pt
repro_gsc_alif_init.pt 98225 d2ca1e9d43db94f2f09279aacac5adf3880fd3c1f0c07849eb381ce66cf86fcd - - gsc-experiments/models/ALIF_init.pt
"""  # noqa: E501  one file per line


def _files(repository: str, table: str) -> tuple[SourceFile, ...]:
    # A pinned commit: the address can vanish, but what it serves cannot change.
    address = f"https://raw.githubusercontent.com/{repository}/"
    rows = [line.split() for line in table.strip().splitlines()]
    return tuple(
        SourceFile(
            name=name,
            size=int(size),
            sha256=sha256,
            urls=(address + quote(path),),
            copies=() if copied == "-" else ((int(copied), copy_sha256),),
        )
        for name, size, sha256, copied, copy_sha256, path in rows
    )


BRF_PUBLISHED = DataSource(
    name="brf_published",
    title="networks of the BRF paper and of its reproduction: 47, and 4 orders of pixels",
    files=(
        *_files("AdaptiveAILab/brf-neurons/5d45b0e7d545f09b79d029bb40573200fde57fd7", _AUTHORS),
        *_files(
            "ianjoshi/brf-neurons-reproduction/f5ad3e6d31362d0bb834beea1ad62d54a216dd49",
            _SEED_REPOSITORY,
        ),
    ),
    licence="MIT",
    citation=(
        "S. Higuchi, S. Kairat, S. M. Bohte, S. Otte, Balanced Resonate-and-Fire Neurons, ICML, "
        "PMLR 235, 2024; I. Joshi, brf-neurons-reproduction, 2025"
    ),
    folder="published/brf/checkpoints",
    stands_in="",
)

BRF_LANDSCAPES = DataSource(
    name="brf_landscapes",
    title="loss around three networks of the BRF paper: BRF, RF, ALIF",
    files=(
        SourceFile(
            name="best_alif_tbptt_model_50_1_10000.npy",
            size=20128,
            sha256="0e17150fa3f2683d938970876a5a7280371016562a46523384b91b9cfc9975f9",
        ),
        SourceFile(
            name="best_brf_model_50_1_10000.npy",
            size=20128,
            sha256="8f68ef1e911a3efdb2f791ed104f0044e61bc6cf3e50eff1cf0eea87e19a1c09",
        ),
        SourceFile(
            name="best_rf_model_50_1_10000.npy",
            size=20128,
            sha256="364d955f87b05ffe47eb6a57e896ac16cebd5309b1db1019311d6d1521518caf",
        ),
    ),
    licence="MIT",
    citation=BRF_PUBLISHED.citation,
    folder="published/brf/loss_landscape",
    by_hand=(
        "Files of these names are in github.com/AdaptiveAILab/brf-neurons at commit 5d45b0e7; copy "
        "them from a clone."
    ),
    stands_in="",
)
