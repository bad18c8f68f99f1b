"""Runs a command in a kernel that refuses io_uring, as container runtimes make it do.

    python3 without_io_uring.py COMMAND [ARGS...]

The process becomes the command (its pid stays), under a seccomp filter by which io_uring_setup fails with EPERM.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000
SYS_IO_URING_SETUP = 425  # the same on every architecture


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


INSTRUCTIONS = [
    (LOAD_WORD, 0, 0, 0),  # the number of the system call
    (JUMP_IF_EQUAL, 0, 1, SYS_IO_URING_SETUP),
    (RETURN, 0, 0, RET_ERRNO | errno.EPERM),
    (RETURN, 0, 0, RET_ALLOW),
]

code = b"".join(struct.pack("HBBI", *instruction) for instruction in INSTRUCTIONS)
program = Program(len(INSTRUCTIONS), ctypes.cast(ctypes.create_string_buffer(code, len(code)), ctypes.c_char_p))
libc = ctypes.CDLL(None, use_errno=True)
for arguments in [
    (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
]:
    if libc.prctl(*arguments) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
