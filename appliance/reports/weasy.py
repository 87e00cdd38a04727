"""WeasyPrint, in a process of its own: a page from standard input, a PDF to standard output.

What lives only here: weasyprint. Nothing is fetched, whatever the page asks for: neither from a network nor
from the disk. The first line of what it writes says which release it was; a failure is one line on standard
error.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Lay the page out; 0 when it is written, 1 when WeasyPrint cannot start."""
    try:
        import weasyprint  # noqa: PLC0415 - an extra; and what it says when it cannot start is caught here
    except (ImportError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"{first} (deploy/bin/system-packages pdf)\n")
        return 1
    from weasyprint.urls import URLFetcher  # noqa: PLC0415 - the same

    html, nothing = sys.stdin.buffer.read().decode(), URLFetcher(allowed_protocols=())
    # Tagged (PDF/UA, ISO 14289-1), so that whoever listens to a report finds its headings and tables.
    made = weasyprint.HTML(string=html, url_fetcher=nothing).write_pdf(pdf_variant="pdf/ua-1")
    sys.stdout.buffer.write(f"WeasyPrint {weasyprint.__version__}\n".encode() + made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
