//! Status codes as a closed set.

/// The code itself where it is registered, else `other_4xx` and the like.
pub(super) const CODES: [&str; 74] = [
    "200",
    "202",
    "204",
    "300",
    "301",
    "302",
    "305",
    "380",
    "400",
    "401",
    "402",
    "403",
    "404",
    "405",
    "406",
    "407",
    "408",
    "410",
    "412",
    "413",
    "414",
    "415",
    "416",
    "417",
    "420",
    "421",
    "422",
    "423",
    "424",
    "425",
    "428",
    "429",
    "430",
    "433",
    "436",
    "437",
    "438",
    "439",
    "440",
    "469",
    "470",
    "480",
    "481",
    "482",
    "483",
    "484",
    "485",
    "486",
    "487",
    "488",
    "489",
    "491",
    "493",
    "494",
    "500",
    "501",
    "502",
    "503",
    "504",
    "505",
    "513",
    "555",
    "580",
    "600",
    "603",
    "604",
    "606",
    "607",
    "608",
    "other_2xx",
    "other_3xx",
    "other_4xx",
    "other_5xx",
    "other_6xx",
];

/// The place of a final status among [`CODES`].
pub(super) fn place(status: u16) -> usize {
    let registered = CODES.len() - OTHERS;
    CODES[..registered]
        .binary_search_by(|code| code.parse::<u16>().unwrap_or_default().cmp(&status))
        .unwrap_or_else(|_| registered + usize::from((status / 100).clamp(2, 6) - 2))
}

/// Classes of status codes.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];

/// The place of a status among [`CLASSES`].
pub(super) fn class(status: u16) -> usize {
    usize::from((status / 100).clamp(1, 6) - 1)
}

const OTHERS: usize = 5;
