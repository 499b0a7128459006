"""Real clients against a gateway, in an environment of its own: python clients.py URL KEY. Prints a JSON line for every
call: client, how, the text that came, the tool that was called, and the tokens that the client saw.

Each is asked synchronously, asynchronously, as a stream, as an asynchronous stream, and with a tool.
"""

import asyncio
import json
import sys

URL, KEY = sys.argv[1:3]
CHAT, LETTERS = URL + "/v1", URL + "/r/letters"
GPT, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"
ASKED = [{"role": "user", "content": "ping"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA}
OPENAI_TOOLS = [{"type": "function", "function": TOOL}]
ANTHROPIC_TOOLS = [{"name": "weather", "description": "The weather of a city.", "input_schema": SCHEMA}]


def tell(client, how, text=None, tool=None, tokens=None):
    print(json.dumps({"client": client, "how": how, "text": text, "tool": tool, "tokens": tokens}), flush=True)


def openai_sdk():
    import openai

    plain = openai.OpenAI(base_url=CHAT, api_key=KEY, max_retries=0)
    asked = {"model": GPT, "messages": ASKED}

    def told(how, one):
        tell(
            "openai", how, one.choices[0].message.content, None, [one.usage.prompt_tokens, one.usage.completion_tokens]
        )

    def text(parts):
        return "".join(one.choices[0].delta.content or "" for one in parts)

    async def later():
        fresh = openai.AsyncOpenAI(base_url=CHAT, api_key=KEY, max_retries=0)
        told("async", await fresh.chat.completions.create(**asked))
        parts = [one async for one in await fresh.chat.completions.create(**asked, stream=True)]
        tell("openai", "async stream", text(parts))

    told("sync", plain.chat.completions.create(**asked))
    tell("openai", "stream", text(plain.chat.completions.create(**asked, stream=True)))
    asyncio.run(later())
    one = plain.chat.completions.create(**asked, tools=OPENAI_TOOLS).choices[0].message.tool_calls[0].function
    tell("openai", "tools", tool=[one.name, json.loads(one.arguments)])


def anthropic_sdk():
    import anthropic

    plain = anthropic.Anthropic(base_url=LETTERS, api_key=KEY, max_retries=0)
    asked = {"model": CLAUDE, "messages": ASKED, "max_tokens": 50}

    def told(how, one):
        tell("anthropic", how, one.content[0].text, None, [one.usage.input_tokens, one.usage.output_tokens])

    async def later():
        fresh = anthropic.AsyncAnthropic(base_url=LETTERS, api_key=KEY, max_retries=0)
        told("async", await fresh.messages.create(**asked))
        async with fresh.messages.stream(**asked) as stream:
            told("async stream", await stream.get_final_message())

    told("sync", plain.messages.create(**asked))
    with plain.messages.stream(**asked) as stream:
        told("stream", stream.get_final_message())
    asyncio.run(later())
    one = plain.messages.create(**asked, tools=ANTHROPIC_TOOLS).content[0]
    tell("anthropic", "tools", tool=[one.name, one.input])


def langchain(client, made):
    def told(how, one):
        usage = one.usage_metadata
        tell(client, how, one.text, None, usage and [usage["input_tokens"], usage["output_tokens"]])

    def whole(parts):
        first, *rest = parts
        for one in rest:
            first += one
        return first

    async def later():
        told("async", await made.ainvoke("ping"))
        told("async stream", whole([one async for one in made.astream("ping")]))

    told("sync", made.invoke("ping"))
    told("stream", whole(list(made.stream("ping"))))
    asyncio.run(later())
    (called,) = made.bind_tools([{"type": "function", "function": TOOL}]).invoke("ping").tool_calls
    tell(client, "tools", tool=[called["name"], called["args"]])


def langchain_openai():
    from langchain_openai import ChatOpenAI

    langchain("langchain-openai", ChatOpenAI(model=GPT, base_url=CHAT, api_key=KEY, max_retries=0))


def langchain_anthropic():
    from langchain_anthropic import ChatAnthropic

    langchain("langchain-anthropic", ChatAnthropic(model=CLAUDE, base_url=LETTERS, api_key=KEY, max_retries=0))


def litellm(client, model, base):
    import litellm

    asked = {"model": model, "api_base": base, "api_key": KEY, "messages": ASKED, "num_retries": 0}

    def told(how, one):
        tell(client, how, one.choices[0].message.content, None, [one.usage.prompt_tokens, one.usage.completion_tokens])

    def text(parts):
        return "".join(one.choices[0].delta.content or "" for one in parts if one.choices)

    async def later():
        told("async", await litellm.acompletion(**asked))
        parts = [one async for one in await litellm.acompletion(**asked, stream=True)]
        tell(client, "async stream", text(parts))

    told("sync", litellm.completion(**asked))
    tell(client, "stream", text(litellm.completion(**asked, stream=True)))
    asyncio.run(later())
    one = litellm.completion(**asked, tools=OPENAI_TOOLS).choices[0].message.tool_calls[0].function
    tell(client, "tools", tool=[one.name, json.loads(one.arguments)])


if __name__ == "__main__":
    openai_sdk()
    anthropic_sdk()
    langchain_openai()
    langchain_anthropic()
    litellm("litellm-openai", "openai/" + GPT, CHAT)
    litellm("litellm-anthropic", "anthropic/" + CLAUDE, LETTERS)
