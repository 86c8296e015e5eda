"""Registries, as places of content (distribution-spec 1.1).

registry      one repository: a Source and a Target, names, tags, referrers
client        requests: who we are, redirects, patience; shared by the repositories of a process
connections   what is kept open to hosts; the only module that speaks to urllib3
origins       where a registry is: mirrors, plain HTTP, certificates
tokens        who we are to a registry: basic and bearer
credentials   what a person has stored: Docker's config.json and its helper programs
download      a blob as a stream that goes on where it broke
upload        a blob in pieces that go on where they broke
headers       what the headers of answers say
answers       what an answer means when it is an error
settings      what may be set: Docker's daemon.json

Nothing here imports urllib3 before a `client.Client` is wanted.
"""
