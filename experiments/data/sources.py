"""The datasets that qhc knows by name.

Means and standard deviations are of all pixels of the training images. MNIST's, CIFAR-100's and
STL-10's are those of arXiv 2509.13353, the others' are in common use or were computed alike.
"""

from __future__ import annotations

from torchvision.datasets import CIFAR10, CIFAR100, MNIST, FashionMNIST

from qbackend.errors import UnknownNameError, suggest

from .folders import FOLDER, TinyImageNet
from .formats import AnyCIFAR10, AnyCIFAR100, Cifar, Digits, Idx, Stl
from .source import Source

_ALL: tuple[Source, ...] = (
    Digits(
        name="digits",
        shape=(1, 8, 8),
        n_classes=10,
        n_train=1438,
        n_test=359,
        mean=(0.3053,),
        std=(0.3758,),
        address="https://archive.ics.uci.edu/dataset/80",
    ),
    Idx(
        name="mnist",
        shape=(1, 28, 28),
        n_classes=10,
        n_train=60_000,
        n_test=10_000,
        mean=(0.1307,),
        std=(0.3081,),
        address="http://yann.lecun.com/exdb/mnist",
        dataset=MNIST,
    ),
    Idx(
        name="fashionmnist",
        shape=(1, 28, 28),
        n_classes=10,
        n_train=60_000,
        n_test=10_000,
        mean=(0.2860,),
        std=(0.3530,),
        address="https://github.com/zalandoresearch/fashion-mnist",
        dataset=FashionMNIST,
    ),
    Cifar(
        name="cifar10",
        shape=(3, 32, 32),
        n_classes=10,
        n_train=50_000,
        n_test=10_000,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
        address="https://www.cs.toronto.edu/~kriz/cifar.html",
        published=CIFAR10,
        unchecked=AnyCIFAR10,
    ),
    Cifar(
        name="cifar100",
        shape=(3, 32, 32),
        n_classes=100,
        n_train=50_000,
        n_test=10_000,
        mean=(0.5071, 0.4867, 0.4408),
        std=(0.2675, 0.2565, 0.2761),
        address="https://www.cs.toronto.edu/~kriz/cifar.html",
        published=CIFAR100,
        unchecked=AnyCIFAR100,
    ),
    Stl(
        name="stl10",
        shape=(3, 96, 96),
        n_classes=10,
        n_train=5_000,
        n_test=8_000,
        mean=(0.4467, 0.4398, 0.4066),
        std=(0.2603, 0.2566, 0.2713),
        address="https://cs.stanford.edu/~acoates/stl10",
    ),
    TinyImageNet(
        name="tinyimagenet",
        shape=(3, 64, 64),
        n_classes=200,
        n_train=100_000,
        n_test=10_000,
        mean=(0.4802, 0.4481, 0.3975),
        std=(0.2770, 0.2691, 0.2821),
        address="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}


def find_source(name: str) -> Source:
    """The source of that name; raises `UnknownNameError`."""
    try:
        return SOURCES[name]
    except KeyError:
        raise UnknownNameError(
            f"unknown dataset '{name}': {suggest(name, SOURCES)} Your own images: {FOLDER}DIR"
        ) from None
