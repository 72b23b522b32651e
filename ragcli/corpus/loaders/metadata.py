"""What documents say of themselves, in the form that metadata have: dates are ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime

_ISO = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?"
)
_PDF = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-]\d\d)'?(\d\d)?'?)?"
)


def iso_date(text: str) -> str:
    """The date, and the time if there is one, when ``text`` is an ISO date, else ""."""
    found = _ISO.fullmatch(text.strip())
    date = found[0].replace(" ", "T") if found else ""
    return date if date and _is_real(date) else ""


def pdf_date(text: str) -> str:
    """The ISO form of a date as PDF writes it, ``D:20240131120000+01'00'``, "" when it is none."""
    found = _PDF.match(text.strip())
    if found is None:
        return ""
    year, month, day, hour, minute, second, utc, zone_hours, zone_minutes = found.groups()
    zone = utc or (f"{zone_hours}:{zone_minutes or '00'}" if zone_hours else "")
    date = "-".join(part for part in (year, month, day) if part)
    date += f"T{hour}:{minute or '00'}:{second or '00'}{zone}" if hour else ""
    return date if _is_real(date) else ""


def _is_real(date: str) -> bool:
    """Whether there is such a day and time, of a date in the right form."""
    try:
        datetime.fromisoformat(date[:10] + "0000-01-01"[len(date[:10]) :])
        datetime.fromisoformat(f"2000-01-01T{date[11:16] or '00:00'}")
    except ValueError:
        return False
    return True
