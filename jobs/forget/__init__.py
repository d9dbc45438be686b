"""Requests for erasure: a person, or a session, leaves an output folder, with all that was made of it.

    request = find_request(folder, participant="Ada Lovelace")
    outcome = carry_out(folder, request)

`request` finds what is meant and keeps a journal of it, so that the next erasure completes one that was interrupted;
`erase` removes it, `lists` edits the user's lists, `traces` looks for what is left, and `record` keeps a forgotten
video from being analysed again.
"""
