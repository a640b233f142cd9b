"""Find a face and cut it out: FFHQ alignment here, dlib in `detection`, a person's own files in `photos`.

Only what needs no dlib is exported here, so importing this package stays cheap.
"""

from __future__ import annotations

from distill.faces.alignment import align, ffhq_quad, framing_error, warp_quad

__all__ = ["align", "ffhq_quad", "framing_error", "warp_quad"]
