"""Votes for programming languages by how lines begin and end.

One pass over the bytes adds up the votes of the lines for each language. They decide where a file
has neither a known name nor a shebang.
"""

from __future__ import annotations

import numpy as np

from filters.columnar.arrays import Doubles, Keys, Longs
from filters.columnar.kernels import GOLDEN, kernel

# First words of lines, and the votes of each.
_WORDS = {
    "c": "#include 4 #define 3 #ifdef 3 #ifndef 3 #endif 3 #undef 3 #pragma 3 typedef 3 static 1 "
    "struct 1 int 1 void 1 char 2 unsigned 2 size 1 extern 1 goto 2 const 1 enum 1 sizeof 1",
    "c++": "namespace 3 template 4 using 2 virtual 3 class 1 #include 2 std 3 explicit 3 public: 3 "
    "private: 3 protected: 3 constexpr 3 typename 3 friend 2",
    "go": "func 4 package 2 defer 4 chan 3 type 1 var 1 import 1 select 2 go 2 range 2",
    "java": "public 2 private 2 protected 2 import 2 package 2 final 1 static 1 abstract 1 throw 1 "
    "@override 3 class 1 interface 1 extends 1 implements 2 @test 2 super 1",
    "javascript": "const 1 let 1 var 1 function 2 export 1 import 1 module 1 require 2 async 1 "
    "await 1 describe 1 it 1 expect 1 document 2 window 2 console 2",
    "kotlin": "fun 4 val 3 var 1 override 2 internal 2 companion 4 suspend 4 data 1 object 2 "
    "private 1 sealed 2 import 2 package 2 when 2 lateinit 4",
    "php": "<?php 9 use 1 namespace 2 $this 4 echo 2 foreach 1",
    "python": "def 4 elif 4 import 1 from 2 class 1 except 3 except: 3 try: 3 else: 3 self 3 "
    "pass 2 raise 2 with 1 lambda 2 yield 1 assert 1 print 1 finally: 3 @property 3 none 1 "
    "__all__ 4",
    "ruby": "def 2 end 3 module 1 require 3 attr 3 puts 3 elsif 4 unless 3 do 1 class 1",
    "rust": "fn 4 impl 4 pub 3 mod 2 use 2 let 1 match 2 crate 3 unsafe 2 trait 3 #[derive 4 "
    "#[cfg 4 #[test 3 #![ 3 where 1 self 1 async 1 struct 1 enum 1 /// 1 //! 3",
    "scala": "object 2 val 1 def 1 trait 2 case 1 override 1 sealed 1 import 2 package 1 "
    "implicit 4 lazy 2",
    "shell": "echo 3 fi 4 done 3 esac 4 then 3 elif 2 export 2 local 2 set 1 cd 2 sudo 3",
    "sql": "select 3 insert 3 create 2 update 2 delete 2 from 1 where 2 alter 3 drop 2 join 2",
    "typescript": "export 2 import 1 interface 2 type 2 const 1 let 1 readonly 3 declare 3 "
    "describe 1 it 1 expect 1 expecttypeof 3 abstract 1 enum 1 async 1 function 1",
}  # fmt: skip
LANGUAGES = tuple(sorted(_WORDS))
_AT = {name: index for index, name in enumerate(LANGUAGES)}
# Pairs of marks in a line, and the votes of each.
_PAIRS = {
    "c": {"->": 1},
    "c++": {"::": 1, "<<": 1},
    "go": {":=": 3},
    "java": {"{@": 2, "<>": 1},
    "kotlin": {"?.": 1},
    "php": {"$t": 1},
    "python": {"):": 2, "->": 1, '""': 1},
    "rust": {"::": 1, "->": 1, "&m": 1, "&s": 1, "=>": 1},
    "typescript": {"=>": 2, "';": 2, "):": 1},
    "javascript": {"=>": 1, "';": 1},
}
_BRACES = {"{": 1, "}": 1}
_STATEMENTS = {**_BRACES, ";": 1}
_ENDS = {
    **dict.fromkeys(("c", "c++", "java", "javascript", "php", "rust"), _STATEMENTS),
    "typescript": _STATEMENTS,
    **dict.fromkeys(("go", "kotlin", "scala"), _BRACES),
    "python": {":": 1},
}
LINES = 200
"""Lines from the start that are read."""
_LONGEST = 12
_SIZE = 2048
_END_WEIGHT, _PAIR_WEIGHT = 0.2, 0.6
"""Weights of the last mark of a line and of a pair of marks; the first word weighs 1."""


def _slot(code: int) -> int:
    return ((code * int(GOLDEN) & 0xFFFFFFFFFFFFFFFF) >> 40) & (_SIZE - 1)


def _hash(word: str) -> int:
    """Return FNV-1a of a word's bytes, as the kernel computes it."""
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def _tables() -> tuple[Keys, Doubles]:
    codes, weights = np.zeros(_SIZE, np.uint64), np.zeros((_SIZE, len(LANGUAGES)))
    for name, words in _WORDS.items():
        parts = words.split()
        for word, weight in zip(parts[::2], parts[1::2], strict=True):
            code = _hash(word)
            slot: int = _slot(code)
            while codes[slot] not in (0, code):
                slot = (slot + 1) % _SIZE
            codes[slot] = code
            weights[slot, _AT[name]] = float(weight)
    return codes, weights


def _pairs() -> tuple[Longs, Doubles]:
    """Return a number for each pair of bytes (0: no vote) and a row of weights for each number."""
    known = sorted({pair for pairs in _PAIRS.values() for pair in pairs})
    numbers = np.zeros(1 << 16, np.int64)
    weights = np.zeros((len(known) + 1, len(LANGUAGES)))
    for number, pair in enumerate(known, 1):
        numbers[ord(pair[0]) << 8 | ord(pair[1])] = number
        for name, pairs in _PAIRS.items():
            weights[number, _AT[name]] = pairs.get(pair, 0)
    return numbers, weights


def _ends() -> Doubles:
    weights = np.zeros((256, len(LANGUAGES)))
    for name, ends in _ENDS.items():
        for mark, weight in ends.items():
            weights[ord(mark), _AT[name]] = weight
    return weights


_CODES, _WEIGHTS = _tables()
_PAIR, _PAIR_WEIGHTS = _pairs()
_END_WEIGHTS = _ends()


@kernel
def language_votes(data, offsets, where):  # type: ignore[no-untyped-def]  # typed by Numba
    """Return float64 [rows, len(LANGUAGES)]: the votes of the first LINES lines of each row."""
    rows = len(offsets) - 1
    votes = np.zeros((rows, len(LANGUAGES)))
    for row in range(rows):
        if not where[row]:
            continue
        at, end = offsets[row], offsets[row + 1]
        line = 0
        while at < end and line < LINES:
            while at < end and (data[at] == 32 or data[at] == 9):
                at += 1
            start = at
            value = np.uint64(0xCBF29CE484222325)
            while at < end and at - start <= _LONGEST:
                byte = data[at]
                if byte in (32, 10, 40, 46, 44, 60, 59, 13, 123) and at > start:
                    break
                lower = byte + 32 if 65 <= byte <= 90 else byte
                value = (value ^ np.uint64(lower)) * np.uint64(0x100000001B3)
                at += 1
            slot = np.int64((value * GOLDEN) >> np.uint64(40)) & (_SIZE - 1)
            while _CODES[slot] != 0:
                if _CODES[slot] == value:
                    for index in range(len(LANGUAGES)):
                        votes[row, index] += _WEIGHTS[slot, index]
                    break
                slot = (slot + 1) & (_SIZE - 1)
            last = np.int64(0)
            at = start
            while at < end and data[at] != 10:
                byte = np.int64(data[at])
                if last:
                    number = _PAIR[last << 8 | byte]
                    if number:
                        for index in range(len(LANGUAGES)):
                            votes[row, index] += _PAIR_WEIGHT * _PAIR_WEIGHTS[number, index]
                last = byte
                at += 1
            if at > start and data[at - 1] < 128:
                for index in range(len(LANGUAGES)):
                    votes[row, index] += _END_WEIGHT * _END_WEIGHTS[data[at - 1], index]
            at += 1
            line += 1
    return votes
