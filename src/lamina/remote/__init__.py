"""Registries, as places of content (distribution-spec 1.1).

registry      one repository: a Source and a Target, names, tags, referrers
referrers     what refers to a manifest
moving        whole images from place to place, several blobs at a time
drafts        indexes in the making
asking        which of the places of a repository is asked what
client        who we are, redirects, patience; shared by the repositories of a process
connections   what is kept open to hosts; the only module that speaks to urllib3
origins       where a registry is: mirrors, plain HTTP, certificates
proxies       by which proxy a host is reached
tokens        who we are to a registry: basic and bearer
login         trying a name and a password
credentials   who a person is, and where that is kept
dockerconfig  Docker's config.json
programs      Docker's credential helpers
download      a blob as a stream that goes on where it broke
upload        a blob in pieces that go on where they broke
headers       what the headers of answers say
answers       what an answer means when it is an error
request       a request as a value
settings      what may be set: Docker's daemon.json

Nothing here imports urllib3 before a `client.Client` is wanted.
"""
