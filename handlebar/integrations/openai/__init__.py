"""
OpenAI's client: a governed tool loop for chat completions, and the SDK's Responses runner, governed.

    from handlebar.integrations.openai import HandlebarToolLoop

    loop = HandlebarToolLoop()
    completion = loop.run(
        OpenAI(), model="…", tools=[…], functions={"search": search}, messages=[{"role": "user", "content": "Go"}]
    )

*functions* are the bodies of the *tools*, by name; they get the model's arguments by keyword, and what they raise ends
the loop. A blocked body never runs: the model gets the refusal as the tool's message. Where policy stops the run, the
model is not asked again, and the last completion is a sentence that says so. For the Responses API, use the SDK's own
runner, with governed functions and a recorded client:

    params = {"model": "…", "input": "Go"}
    with loop.recording(OpenAI(), params) as client:
        ResponsesToolRunner(functions=loop.governed([…])).run(client, params)

The block is one run, streamed or not, which records what goes to the model, what it answers, and the tokens; a stop
ends the runner by an error. What runs at OpenAI (web search, code interpreter, remote MCP servers) and the runner's
browser and computer cannot be governed. Works with every server that speaks OpenAI's protocol; tested with openai 3.54.
"""

from handlebar._plumbing.doors import lazy_door

_HOMES = {"HandlebarToolLoop": "handlebar.integrations.openai.loop"}

__all__ = list(_HOMES)  # the table is the list
__getattr__, __dir__ = lazy_door(__name__, _HOMES)
