use super::check;

#[test]
fn dates_are_read_by_form_by_layout_and_in_a_zone() {
    check(
        r#"
todate(born)                                           → 2014-10-13T00:00:00Z
todate("02/01/2006", "07/04/2014")                     → 2014-04-07T00:00:00Z
todate("now-3m")                                       → 2026-03-10T11:57:00.25Z
todate(event)                                          →
todate("02/01/2006", missing)                          →
todatein("May 8, 2009 5:57:51 PM", "America/Los_Angeles") → 2009-05-09T00:57:51Z
todatein("2009-12-08", "America/Los_Angeles")          → 2009-12-08T08:00:00Z
todatein("20090508", "Europe/Lisbon")                  → 2009-05-07T23:00:00Z
todatein("2009-05-08 10:00:00 PST", "Europe/Lisbon")   → 2009-05-08T09:00:00Z
todatein("2009-05-08 10:00:00 UTC", "Europe/Lisbon")   → 2009-05-08T10:00:00Z
todatein("2009-05-08T10:00:00Z", "Europe/Lisbon")      → 2009-05-08T10:00:00Z
todatein("2009-05-08T10:00:00+02:00", "Europe/Lisbon") → 2009-05-08T08:00:00Z
todatein("1332151919", "Europe/Lisbon")                → 2012-03-19T10:11:59Z
todatein("now-3d", "America/Los_Angeles")              → 2026-03-07T12:00:00.25Z
todatein(event, "America/Los_Angeles")                 →
now()                                                  → 2026-03-10T12:00:00.25Z
"#,
    );
}

#[test]
fn moments_become_unix_time() {
    check(
        r#"
totimestamp("Apr 7, 2014 4:58:55 PM")                  → 1396889935
totimestamp("1969-12-31T23:59:59.5Z")                  → -1
totimestamp(event)                                     →
epochms()                                              → 1773144000250
epochms(born)                                          → 1413158400000
epochms(missing)                                       →
unixtrunc("1438445529707")                             → 1438445529
unixtrunc(todate("1950-05-08 19:00:00.998"))           → -620110800
unixtrunc("1438445529", "ms")                          → 1438445529000
unixtrunc("1438445529707", "milliseconds")             → 1438445529707
unixtrunc("1438445529707", "s")                        → 1438445529.707
unixtrunc("1438445529707", "seconds")                  → 1438445529.707
unixtrunc("1950-05-08 19:00:00.998", "seconds")        → -620110799.002
unixtrunc("1438445529707123456", "sm")                 → 1438445529.707123
unixtrunc("1950-05-08 19:00:00.999998", "SecondsMicro") → -620110799.000002
unixtrunc(born, "hours")                               →
unixtrunc(event)                                       →
seconds("M12:15")                                      → 735
seconds("M100:30")                                     → 6030
seconds("00:45")                                       → 45
seconds("7.5")                                         → 7.5
seconds("-45")                                         → -45
seconds(30)                                            → 30
seconds("2015/07/04")                                  → 1435968000
seconds(todate(born))                                  → 1413158400
seconds(event)                                         →
"#,
    );
}

#[test]
fn parts_are_those_of_the_argument_or_of_the_records_time() {
    check(
        r#"
yy("10/13/2014")                                       → 14
yy("01/02/1956")                                       → 56
yy("1850-01-01")                                       → 1850
yy()                                                   → 26
yy(event)                                              →
mm("10/13/2014")                                       → 10
mm()                                                   → 3
monthofyear("01/02/2006")                              → 1
mm(missing)                                            →
yymm("11/03/2015")                                     → 1511
yymm()                                                 → 2603
dayofweek("2016-07-03")                                → 0
dayofweek("Apr 8, 2014 4:58:55 PM")                    → 2
dayofweek()                                            → 2
hourofday("Apr 7, 2014 4:58:55 PM")                    → 16
hourofday()                                            → 12
hourofday(event)                                       →
hourofweek("2016-07-02 23:00:00")                      → 167
hourofweek("Apr 7, 2014 4:58:55 PM")                   → 40
hourofweek()                                           → 60
extract(born, "%B")                                    → October
extract("1257894000", "%B - %d")                       → November - 10
strftime("1257894000000", "%Y-%m-%dT%H:%M:%SZ")        → 2009-11-10T23:00:00Z
strftime(born, missing)                                →
strftime(event, "%B")                                  →
extract(born, "%")                                     →
"#,
    );
}

#[test]
fn a_number_is_a_moment_only_in_plausible_years() {
    check(
        r#"
yy(20140101)                                           → 14
yy(1850)                                               → 1850
yy(1799)                                               →
yy(21210101)                                           →
yy("1799")                                             → 1799
"#,
    );
}
