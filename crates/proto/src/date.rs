//! Dates as HTTP and the access log write them.
//!
//! Owns the civil-calendar arithmetic; the caller brings the time.

const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// An IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7), from seconds
/// since 1970-01-01T00:00:00Z.
#[must_use]
pub fn imf_fixdate(unix: u64) -> [u8; 29] {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        weekday,
    } = civil(unix);
    let mut out = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    out[..3].copy_from_slice(DAYS[weekday]);
    two_digits(&mut out[5..7], day);
    out[8..11].copy_from_slice(MONTHS[month]);
    two_digits(&mut out[12..14], year / 100);
    two_digits(&mut out[14..16], year % 100);
    two_digits(&mut out[17..19], hour);
    two_digits(&mut out[20..22], minute);
    two_digits(&mut out[23..25], second);
    out
}

/// The Common Log Format's `06/Nov/1994:08:49:37 +0000`, in UTC.
#[must_use]
pub fn common_log(unix: u64) -> [u8; 26] {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = civil(unix);
    let mut out = *b"01/Jan/1970:00:00:00 +0000";
    two_digits(&mut out[..2], day);
    out[3..6].copy_from_slice(MONTHS[month]);
    two_digits(&mut out[7..9], year / 100);
    two_digits(&mut out[9..11], year % 100);
    two_digits(&mut out[12..14], hour);
    two_digits(&mut out[15..17], minute);
    two_digits(&mut out[18..20], second);
    out
}

struct Civil {
    year: u64,
    month: usize,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    weekday: usize,
}

/// Splits a time into its calendar parts. The era arithmetic counts from 1 March of year 0, so that
/// the leap day is the last day of a year.
fn civil(unix: u64) -> Civil {
    let days = unix / 86_400;
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = (march_month + 2) % 12;
    Civil {
        year: year_of_era + era * 400 + u64::from(month < 2),
        month: usize::try_from(month).unwrap_or(0),
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        hour: unix / 3600 % 24,
        minute: unix / 60 % 60,
        second: unix % 60,
        weekday: usize::try_from(days % 7).unwrap_or(0),
    }
}

fn two_digits(out: &mut [u8], value: u64) {
    let digits = u8::try_from(value % 100).unwrap_or(0);
    out[0] = b'0' + digits / 10;
    out[1] = b'0' + digits % 10;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let cases: [(u64, &[u8]); 5] = [
            (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, b"Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, b"Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_735_689_599, b"Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, b"Mon, 01 Mar 2100 00:00:00 GMT"),
        ];
        for (unix, text) in cases {
            assert_eq!(imf_fixdate(unix), text);
        }
        assert_eq!(&common_log(784_111_777), b"06/Nov/1994:08:49:37 +0000");
    }
}
