//! A package of its own, with few dependencies: the tests build them once more.
