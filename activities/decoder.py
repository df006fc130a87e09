"""Decode gzip and deflate piece by piece, and never more of it than the caller asks for. No I/O."""

import zlib

DEFLATE, GZIP = 15, 31
"""What zlib calls window bits, which choose the format."""
MAGIC = b"\x1f"
"""First byte of each member of gzip (RFC 1952, 2.3.1)."""
PIECE_BYTES = 4_096
"""Bytes decoded at a time: zlib copies the rest of its input at the end of each member, and a body may have many."""


class Decoder:
    """Decodes one body. Gzip may have several members (RFC 1952, 2.2); what follows the last one is ignored."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._decompressor = zlib.decompressobj(window_bits)
        self._ended = False

    @property
    def complete(self) -> bool:
        """Whether the coding has come to its end."""
        return self._decompressor.eof

    def decode(self, data: bytes, max_bytes: int) -> bytes:
        """Return what data decodes to, cut to `max_bytes`, after which nothing may follow; raises zlib.error."""
        decoded = bytearray()
        for at in range(0, len(data), PIECE_BYTES):
            rest = data[at : at + PIECE_BYTES]
            while rest and not self._ended and len(decoded) < max_bytes:
                if self._decompressor.eof:
                    self._ended = self._window_bits != GZIP or not rest.startswith(MAGIC)
                    if self._ended:
                        break
                    self._decompressor = zlib.decompressobj(self._window_bits)
                decoded += self._decompressor.decompress(rest, max_bytes - len(decoded))
                rest = self._decompressor.unused_data
        return bytes(decoded)
