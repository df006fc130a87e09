"""Several hundred cron expressions that combine every form of a field."""

from itertools import product

MINUTES = ("0", "*", "*/15", "*/7", "30", "5,45", "10-50/20", "55-5", "3/11")
HOURS = ("*", "0", "1", "2", "3", "23", "*/2", "1-3", "1/5", "22-2", "0,12")
DAYS = ("*", "1", "28-31", "29", "31", "*/10", "1,15", "25-5")
MONTHS = ("*", "2", "jan,mar", "*/3", "OCT-FEB", "4-11/2")
WEEKDAYS = ("*", "0", "7", "sun", "mon-fri", "FRI-mon", "5-7", "*/2", "1,3")
ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
RARE = ("0 0 29 2 *", "0 0 29 2 mon", "0 12 30 2 sun", "0 0 31 */2 *", "59 23 31 12 *", "0 0 1-31 * mon", "0 0 * * 0-6")
CLOCKS = tuple(f"{minute} {hour} * * *" for minute, hour in product(MINUTES, HOURS))
"""Time of day."""
DATES = tuple(
    f"{MINUTES[at % 9]} {HOURS[at % 11]} {day} {month} *"
    for at, (day, month) in enumerate(product(DAYS, MONTHS))
    if (day, month) != ("31", "2")
)
EITHER = tuple(
    f"{MINUTES[at % 9]} {HOURS[at % 11]} {day} {MONTHS[at % 6]} {weekday}"
    for at, (_, day, weekday) in enumerate(product(range(2), DAYS, WEEKDAYS), 1)
    if (day, at % 6, weekday) != ("31", 1, "*")
)
"""Day of the month, of the week, or one of both."""
EXPRESSIONS = tuple(dict.fromkeys((*ALIASES, *RARE, *CLOCKS, *DATES, *EITHER)))
