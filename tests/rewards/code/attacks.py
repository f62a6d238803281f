"""Programs that try to earn what they did not work for. All are to be judged by tests of add(a, b)."""

# ruff: noqa: E501

FAKE = "def add(a, b):\n    return {}\n"

ENDLESS = {
    "at import": "while True:\n    pass\n",
    "in the function": "def add(a, b):\n    while True:\n        pass\n",
    "in C": "def add(a, b):\n    return sum(iter(int, 1))\n",
    "in big integers": "def add(a, b):\n    return 9 ** 9 ** 9\n",
    "in a regex": "import re\ndef add(a, b):\n    return re.match(r'(a+)+$', 'a' * 60 + 'b')\n",
    "signals ignored": "import signal\nfor n in range(1, 65):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError):\n        pass\nwhile True:\n    pass\n",
    "BaseException caught": "def add(a, b):\n    while True:\n        try:\n            while True:\n                pass\n"
    "        except BaseException:\n            pass\n",
    "asleep": "import time\ndef add(a, b):\n    while True:\n        time.sleep(1000)\n",
    "waiting for a lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n",
    "in an iterator": "import itertools\ndef add(a, b):\n    return [x for x in itertools.count()if False]\n",
    "while compiling": "x = " + "(" * 80 + "0" + ")" * 80 + "\nwhile 1: pass\n",
    "in children": "import os\nfor _ in range(3):\n    os.fork()\nwhile True:\n    pass\n",
    "in short-lived children": "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n"
    "    if os.fork() == 0:\n        sum(range(10 ** 6))\n        os._exit(0)\n    time.sleep(0.01)\n",
    "in a finalizer": "class A:\n    def __del__(self):\n        while True:\n            pass\n"
    "def add(a, b):\n    A()\n    return a + b\n",
}

BOMBS = {
    "forks": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n",
    "threads": "import threading, time\nwhile True:\n    try:\n"
    "        threading.Thread(target=time.sleep, args=(100,)).start()\n    except RuntimeError:\n        pass\n",
    "memory": "held = []\nwhile True:\n    held.append(bytearray(1 << 24))\n",
    "memory at once": "held = bytearray(1 << 40)\n",
    "memory, MemoryError caught": "held = []\nwhile True:\n    try:\n        held.append(b'x' * (1 << 22))\n"
    "    except MemoryError:\n        pass\n",
    "memory of children": "import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n"
    "        held = b'x' * (100 << 20)\n        time.sleep(100)\ntime.sleep(100)\n",
    "shared memory": "import mmap\nheld = [mmap.mmap(-1, 1 << 28) for _ in range(100)]\n",
    "disk": "with open('/tmp/full', 'wb') as stream:\n    while True:\n        stream.write(b'x' * (1 << 20))\n",
    "disk in many files": "i = 0\nwhile True:\n    i += 1\n    with open(f'/tmp/{i}', 'wb') as stream:\n"
    "        stream.write(b'x' * (1 << 20))\n",
    "files": "i = 0\nwhile True:\n    i += 1\n    open(f'/tmp/{i}', 'w').close()\n",
    "descriptors": "held = []\nwhile True:\n    held.append(open('/dev/null'))\n",
    "folders": "import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')\n",
    "pipes": "import os\nheld = []\nwhile True:\n    held.append(os.pipe())\n",
}

SUICIDES = {
    "its group": "import os\nos.kill(0, 9)\n",
    "its group, by its name": "import os\nos.killpg(0, 9)\n",
    "everybody": "import os\nos.kill(-1, 9)\n",
    "itself": "import os\nos.kill(os.getpid(), 9)\n",
    "its group, in the function": "def add(a, b):\n    import os\n    os.kill(0, 9)\n    return a + b\n",
    "its group, from a child": "import os\nif os.fork() == 0:\n    os.kill(0, 9)\nos.wait()\nos.kill(0, 9)\n",
}

CRASHES = {
    "segfault": "import ctypes\nctypes.string_at(0)\n",
    "abort": "import os\nos.abort()\n",
    "stack overflow in C": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x):\n    return f(x) + [f(x)]\nf(1)\n",
    "bad bytecode": "def f(): pass\nf.__code__ = f.__code__.replace(co_code=b'\\x64\\xff' * 8)\nf()\n",
    "syntax": "def add(a, b)\n    return a + b\n",
    "killing itself": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nwhile True:\n    pass\n",
    "exception": "raise ValueError\n",
    "standard input": "input()\n",
    "standard input in the function": "def add(a, b):\n    return int(input())\n",
}

EXITS = {
    "os._exit at import": "import os\nos._exit(0)\n",
    "sys.exit at import": "import sys\nsys.exit(0)\n",
    "SystemExit in the function": "def add(a, b):\n    raise SystemExit(0)\n",
    "os._exit in the function": "import os\ndef add(a, b):\n    os._exit(0)\n",
    "quit": "quit()\n",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\n",
    "excepthook": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\nraise ValueError\n",
    "exec of true": "import os, sys\nos.execv(sys.executable, ['python', '-c', 'pass'])\n",
    "StopIteration": "def add(a, b):\n    raise StopIteration\n",
    "GeneratorExit": "def add(a, b):\n    raise GeneratorExit\n",
    "KeyboardInterrupt": "def add(a, b):\n    raise KeyboardInterrupt\n",
    "AssertionError": "def add(a, b):\n    raise AssertionError\n",
}

LIES = {
    "always equal": "class E:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
    "    def __hash__(self): return 0\ndef add(a, b):\n    return E()\n",
    "always equal integer": "class E(int):\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\n"
    "def add(a, b):\n    return E(1)\n",
    "always equal in a list": "class E(list):\n    def __eq__(self, o): return True\ndef add(a, b):\n    return E()\n",
    "metaclass": "class M(type):\n    def __eq__(c, o): return True\n    __hash__ = type.__hash__\n"
    "class E(metaclass=M): pass\ndef add(a, b):\n    return E\n",
    "true": FAKE.format("True"),
    "not a number": FAKE.format("float('nan')"),
    "nothing": FAKE.format("None"),
    "an empty text": FAKE.format("''"),
    "patched builtins": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})\n"
    "builtins.all = builtins.any = builtins.isinstance = lambda *a: True\ndef add(a, b):\n    return 0\n",
    "patched equality": "import operator, unittest, math\noperator.eq = math.isclose = lambda *a, **k: True\n"
    "unittest.TestCase.assertEqual = lambda *a: None\ndef add(a, b):\n    return 0\n",
    "patched sandbox": "import sys\nfor name, module in list(sys.modules.items()):\n    if 'restem' in name:\n"
    "        for key in dir(module):\n            try:\n                setattr(module, key, lambda *a, **k: 'correct')\n"
    "            except Exception:\n                pass\ndef add(a, b):\n    return 0\n",
    "right three times, then wrong": "n = 0\ndef add(a, b):\n    global n\n    n += 1\n"
    "    return a + b if n <= 3 else None\n",
    "own check": "def check(candidate):\n    pass\ndef add(a, b):\n    return 0\n",
    "own tests": "def add(a, b):\n    return 0\nassert True\nprint('ok', 'passed', 'correct')\n",
    "tests in frames": "import sys\ndef add(a, b):\n    frame = sys._getframe()\n    while frame:\n"
    "        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n"
    "            if isinstance(value, str) and 'candidate' in value:\n                return a + b\n"
    "        frame = frame.f_back\n    return 0\n",
    "tests in the heap": "import gc\ndef add(a, b):\n    for thing in gc.get_objects():\n"
    "        if isinstance(thing, dict) and any(isinstance(v, str) and '700, 77' in v for v in list(thing.values())):\n"
    "            return a + b\n    return 0\n",
    "tests in memory": "import ctypes, re\ndef add(a, b):\n    try:\n        maps = open('/proc/self/maps').read()\n"
    "    except OSError:\n        return 0\n    return a + b\n",
    "tests in files": "import os\ndef add(a, b):\n    for folder, _, names in os.walk('/'):\n        for name in names:\n"
    "            if 'HumanEval' in name or 'restem' in name or 'jsonl' in name:\n                return a + b\n    return 0\n",
    "a report on every descriptor": "import os, json, struct\n"
    'for text in [\'"correct"\', \'["correct"]\', \'{"reason": "correct", "reward": 1.0}\', \'0\', \'["value", true, null]\']:\n'
    "    body = struct.pack('>I', len(text)) + text.encode()\n    for fd in range(256):\n        for _ in range(5):\n"
    "            try:\n                os.write(fd, body)\n            except OSError:\n                break\n"
    "def add(a, b):\n    return 0\n",
    "answers in advance": "import os, struct\nfor value in (5, 0, 30, 776):\n    text = f'[\"value\", {value}, null]'\n"
    "    os.write(3, struct.pack('>I', len(text)) + text.encode())\ndef add(a, b):\n    return 0\n",
    "broken messages": "import os\nos.write(3, b'\\xff' * 1000)\ndef add(a, b):\n    return 0\n",
    "a message without end": "import os\nos.write(3, b'\\x00\\x10\\x00\\x00[[[[')\nos._exit(0)\n",
    "a deep message": "import os, struct\nbody = b'[' * 100000\nos.write(3, struct.pack('>I', len(body)) + body)\n"
    "def add(a, b):\n    return 0\n",
    "channel closed": "import os\nos.close(3)\ndef add(a, b):\n    return a + b\n",
    "a pickle": "import os, pickle\nclass P:\n    def __reduce__(self): return (os._exit, (0,))\n"
    "def add(a, b):\n    return P()\nos.write(3, pickle.dumps(P()))\n",
    "a pickle in bytes": "import pickle\ndef add(a, b):\n    return pickle.dumps(a + b)\n",
}

SLY = {
    "descriptors sent along": "import array, os, socket\ns = socket.socket(fileno=os.dup(3))\nfds = array.array('i', [0, 1, 2, 3])\n"
    "for _ in range(2000):\n    try:\n        s.sendmsg([b'['], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)], socket.MSG_DONTWAIT)\n"
    "    except OSError:\n        break\ndef add(a, b):\n    return 0\n",
    "half a channel": "import os, socket\ns = socket.socket(fileno=os.dup(3))\ns.shutdown(socket.SHUT_RD)\ndef add(a, b):\n    return 0\n",
    "stopped": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nif os.fork() == 0:\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    "def add(a, b):\n    os.kill(0, signal.SIGSTOP)\n    return 0\n",
    "a lying class": "class A:\n    __class__ = property(lambda self: int)\n    def __index__(self): return 5\n    def __eq__(self, o): return True\n"
    + FAKE.format("A()"),
    "lying keys": "class K(str):\n    def __eq__(self, o): return True\n    def __hash__(self): return hash('x')\n"
    + FAKE.format("{K('y'): 5}"),
    "a lying mapping": "class D(dict):\n    def items(self): return [('x', 5)]\n    def __eq__(self, o): return True\n"
    + FAKE.format("D()"),
    "another urgency": "import os\nfor call in (lambda: os.nice(-20), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)), "
    "lambda: os.sched_setaffinity(0, {0})):\n    try:\n        call()\n    except OSError:\n        pass\ndef add(a, b):\n    return 0\n",
    "locks on Python's own files": "import fcntl, os\nheld = []\nfor name in os.listdir(os.path.dirname(os.__file__))[:40]:\n    try:\n"
    "        held.append(open(os.path.join(os.path.dirname(os.__file__), name)))\n        fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "    except OSError:\n        pass\ndef add(a, b):\n    return 0\n",
    "patched import and compile": "import builtins\nbuiltins.__import__ = builtins.compile = builtins.exec = lambda *a, **k: True\n"
    "builtins.__build_class__ = None\ndef add(a, b):\n    return 0\n",
    "patched encoder": "import json, sys\njson.dumps = lambda *a, **k: '[\"value\", 5, null]'\nfor m in list(sys.modules.values()):\n"
    "    if hasattr(m, 'encode'):\n        try:\n            m.encode = lambda *a, **k: 5\n        except Exception:\n            pass\n"
    "def add(a, b):\n    return 0\n",
    "another program in its place": "import os, sys\nos.execv(sys.executable, ['python', '-S', '-c', 'import os\\nos.write(3, b\"+\" * 9)'])\n",
    "an exception in its own name": "class StopIteration(Exception): pass\nclass AssertionError(BaseException): pass\ndef add(a, b):\n    raise StopIteration('correct')\n",
    "exceptions of odd shape": "def add(a, b):\n    raise BaseExceptionGroup('x', [SystemExit(0)])\n",
    "a wide name": "def \uff41dd(a, b):\n    return 0\n",
    "right only when nobody compares": "def add(a, b):\n    import sys\n    return a + b if sys.gettrace() else 0\n",
    "memory of a new kind": "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_void_p\n"
    "for _ in range(64):\n    libc.mmap(None, ctypes.c_size_t(1 << 34), 3, 0x4022, -1, 0)\ndef add(a, b):\n    return 0\n",
}

MONSTERS = {
    "a long text": FAKE.format("'x' * (100 << 20)"),
    "a long list": FAKE.format("[0] * 10 ** 7"),
    "a huge integer": FAKE.format("1 << (1 << 28)"),
    "a deep list": "def add(a, b):\n    x = []\n    for _ in range(100000):\n        x = [x]\n    return x\n",
    "a list in itself": "def add(a, b):\n    x = []\n    x.append(x)\n    return x\n",
    "a list in itself twice": "def add(a, b):\n    x = []\n    x += [x, x]\n    return x\n",
    "an endless generator": "def add(a, b):\n    while True:\n        yield a + b\n",
    "a generator": "def add(a, b):\n    yield a + b\n",
    "a huge range": FAKE.format("range(10 ** 18)"),
    "a function": FAKE.format("lambda: a + b"),
    "a module": "import os\n" + FAKE.format("os"),
    "an object with a lying repr": "class A:\n    def __repr__(self): return str(777)\n" + FAKE.format("A()"),
    "colliding keys": FAKE.format("{i * (2 ** 61 - 1): 0 for i in range(30000)}"),
    "a huge decimal": "from decimal import Decimal\n" + FAKE.format("Decimal('1e999999')"),
    "a class with a lying bool": "class A:\n    def __bool__(self):\n        while True: pass\n" + FAKE.format("A()"),
}

BROKEN_TEXT = {
    "NUL": "def add(a, b):\n    return a + b\x00\n",
    "surrogates": "def add(a, b):\n    return '\ud800'\n",
    "ANSI": "\x1b[2J\x1b[1;1Hdef add(a, b):\n    return a - b\n",
    "deep brackets": "x = " + "[" * 5000 + "]" * 5000 + "\ndef add(a, b):\n    return a - b\n",
    "deep operators": "x = " + "-" * 100000 + "1\ndef add(a, b):\n    return a - b\n",
    "deep blocks": "".join(" " * i + "if 1:\n" for i in range(200)),
    "long line": "x = '" + "a" * 3_000_000,
    "only a fence": "```python\n",
    "only prose": "I am sorry, but I cannot write this function for you.",
    "bidi and zero width": "def add(a, b):\n    return a\u200b + b\n",
}
