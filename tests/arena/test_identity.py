import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.arena.identity import asks_for_identity, names_itself
from fastchat.arena.model_names import families, identities, parts

SERVED = ["smollm2-135m-instruct", "acme/Wombat_7b-Chat"]


@pytest.mark.parametrize(
    "text",
    [
        "I am Claude, an AI assistant made by Anthropic.",
        "I'm **ChatGPT**, a large language model trained by OpenAI.",
        "I’m Gemini.",
        "As an AI language model developed by OpenAI, I cannot do that.",
        "Hello! I'm a large language model, trained by Google.",
        "My name is Qwen.",
        "I was originally an ordinary AI assistant created by Anthropic to be helpful.",
        "I was created by Alibaba Cloud",
        "I am a Llama 3 model.",
        "I'm based on the Llama family of models",
        "I'm not a human, I'm Claude.",
        "I'm an AI model from Cohere, based on Command R.",
        "Soy un asistente basado en GPT-4.",
        "Je suis un assistant basé sur GPT-4.",
        "Sou um assistente baseado no Llama 3.",
        "Google trained me on lots of text.",
        "As ChatGPT, I can't browse.",
        "I am Google's large language model.",
        "I am an open-source 7B parameter model built by the team at Mistral AI.",
        "You are chatting with DeepSeek-V3.",
        "Sure! Call me gpt4.",
        "I am SmolLM2 135M Instruct.",
        "I'm an assistant called smollm2",
        "My name is Wombat!",
        "I go by “acme wombat 7B chat”.",
        "我是通义千问，由阿里云开发的大语言模型",
        "我是由OpenAI训练的人工智能助手。",
        "我叫DeepSeek",
        "作为由百度开发的人工智能语言模型，我不能",
        "Ich bin ein großes Sprachmodell, trainiert von Google.",
        "Ich bin ein von OpenAI entwickeltes Sprachmodell.",
        "Als KI-Sprachmodell von OpenAI kann ich das nicht.",
        "Ich wurde von Anthropic entwickelt.",
        "Ich heiße Claude.",
        "Ich bin ein Assistent, der auf GPT-4 basiert.",
        "Ich bin ein Chatbot basierend auf Llama 3.",
        "Soy un modelo de lenguaje entrenado por OpenAI.",
        "Me llamo Claude.",
        "Fui creado por Google.",
        "Je suis un modèle de langage développé par Mistral AI.",
        "Je m’appelle Claude.",
        "J'ai été créé par OpenAI.",
        "En tant que modèle de langage développé par OpenAI, je",
        "En tant qu'assistant IA créé par Anthropic, je",
        "Sou um modelo de linguagem treinado pela OpenAI.",
        "Meu nome é Gemini.",
        "私はOpenAIによって開発された大規模言語モデルです。",
        "私はClaudeです。",
        "私の名前はGeminiです",
        "저는 OpenAI에서 개발한 언어 모델입니다.",
        "저는 Claude입니다.",
        "제 이름은 Gemini예요.",
        "저는 구글에서 개발한 AI입니다.",
    ],
)
def test_who_says_who_it_is_is_heard(text: str) -> None:
    assert names_itself(text, SERVED)


@pytest.mark.parametrize(
    "text",
    [
        "I am a fan of Llama.",
        "I am using Google Docs.",
        "I'm a Google engineer.",
        "I am Google's CEO.",
        "I'm a Gemini and my moon is in Leo.",
        "I am a llama who lives in Peru.",
        "I am the koala from the zoo.",
        "Android was developed by Google.",
        "OpenAI trained GPT-4 with human feedback; Anthropic built Claude.",
        "The bard sat under a palm tree and sang of Hermes.",
        "Google it, or ask Gemini.",
        "I am not ChatGPT.",
        "I am Claude Monet.",
        "My name is Claude Debussy.",
        "As a Google employee, I know.",
        "I am going to search with Google.",
        "I'm on Facebook, and I'm from Apple.",
        "Im Google Play Store gibt es das.",
        "Ich bin bei Google. Ich bin auf Facebook.",
        "Je suis sur Facebook. Je suis chez Apple.",
        "Fui a Google en mayo.",
        "Eu fui no Google hoje. Sou fã da Apple.",
        "I am a large language model.",
        "As an AI assistant, I do not have a name.",
        "I am helpful, harmless and honest.",
        "A wombat is a marsupial.",
        "This is a small 7b chat.",
        "Ich bin Google-Mitarbeiter.",
        "Ich bin ein Sprachmodell.",
        "我是谷歌的员工",
        "我是阿里巴巴的员工",
        "我是一个人工智能语言模型",
        "私はGoogleで働いています",
        "저는 Naver에서 일합니다.",
        "Soy un modelo de lenguaje.",
        "Je suis un assistant virtuel.",
        "",
    ],
)
def test_ordinary_text_says_nothing(text: str) -> None:
    assert not names_itself(text, SERVED)


def test_a_match_says_which_name_and_where() -> None:
    (found,) = names_itself("Well, I'm **Claude**, an assistant.")
    assert found.name == "claude"
    assert found.phrase == "i'm claude"


def test_names_that_fastchat_looked_for_are_known() -> None:
    words = [
        "vicuna", "lmsys", "koala", "uc berkeley", "open assistant", "laion", "chatglm", "chatgpt", "gpt-4", "openai",
        "anthropic", "claude", "bard", "palm", "lamda", "google", "gemini", "llama", "qianwan", "qwen", "alibaba",
        "mistral", "zhipu", "keg lab", "01.ai", "ai2", "tülu", "tulu", "deepseek", "hermes", "cohere", "dbrx",
        "databricks",
    ]  # fmt: skip
    assert [word for word in words if not names_itself(f"My name is {word}.")] == []
    assert not names_itself(f"A text about {', '.join(words)}.")


@pytest.mark.parametrize("name", [name for family in families() for name in family.names])
def test_every_name_of_the_file_can_be_told(name: str) -> None:
    assert names_itself(f"My name is {name}.")
    assert names_itself(f"I am {name}!")


@pytest.mark.parametrize("maker", [maker for family in families() for maker in family.makers])
def test_every_maker_of_the_file_can_be_told(maker: str) -> None:
    assert names_itself(f"I am a language model trained by {maker}.")


def test_there_is_speech_in_all_eight_languages() -> None:
    assert set(identities()["language"]) == {"en", "de", "es", "fr", "ja", "ko", "pt", "zh"}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("smollm2-135m-instruct", ["smollm2", "smollm"]),
        ("meta-llama/Llama-3.1-8B-Instruct", ["meta", "llama"]),
        ("Qwen2.5-Coder", ["qwen2", "qwen"]),
        ("tiny-chat", []),
        ("helpful-assistant", []),
        ("通义-7b", ["通义"]),
    ],
)
def test_parts_of_a_name_that_give_it_away(model: str, expected: list[str]) -> None:
    assert parts(model) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Who are you?",
        "hi, who r u",
        "what model are you",
        "What’s your name?",
        "Which LLM are you?",
        "which AI model am I talking to",
        "who made you?",
        "Which company trained you?",
        "Are you ChatGPT?",
        "are you based on gpt-4?",
        "Are you smollm2?",
        "What are you?",
        "Who am I talking to?",
        "Please introduce yourself.",
        "What version of GPT are you",
        "你是谁？",
        "你是什么模型",
        "谁开发了你？",
        "你是GPT-4吗？",
        "Wer bist du?",
        "Welches Modell bist du?",
        "Wer hat dich entwickelt?",
        "¿Quién eres?",
        "¿Qué modelo eres?",
        "Qui es-tu ?",
        "Quel modèle de langage es-tu ?",
        "Qui t’a créé ?",
        "Quem é você?",
        "Qual é o seu nome?",
        "あなたは誰ですか？",
        "どのモデルですか",
        "넌 누구야?",
        "당신은 누구세요?",
        "누가 너를 만들었어?",
    ],
)
def test_who_asks_for_the_identity_is_noticed(text: str) -> None:
    assert asks_for_identity(text, SERVED)


@pytest.mark.parametrize(
    "text",
    [
        "Who are the presidents of the EU?",
        "What is the name of the longest river?",
        "Which model of car should I buy?",
        "Which model are you referring to?",
        "Which machine learning model is best for images?",
        "Write a poem about you and me.",
        "Translate “who are you” into French.",
        "What are you waiting for? Write the code.",
        "Compare GPT-4 with Claude.",
        "Qui est le président ?",
        "谁是总统",
        "어떤 영화가 좋아?",
        "¿Quién es el rey?",
        "",
    ],
)
def test_other_questions_are_not_taken_for_it(text: str) -> None:
    assert not asks_for_identity(text, SERVED)


@pytest.mark.parametrize(
    "text",
    [
        "i am a " + "large language model " * 2000,
        "as an " + "x " * 20_000,
        "我是大语言模型" * 5000,
        "i am 1" + ",1" * 20_000,
        "i am " + "a" * 40_000,
        "je suis l'" + "d'" * 20_000,
        "what model " * 5000,
        *(mark * 200_000 for mark in "“«„「『"),  # quotations that nothing closes
    ],
)
def test_texts_made_to_be_slow_say_nothing(text: str) -> None:
    """What they cost is measured in `benchmarks/screening.py`."""
    assert names_itself(text, SERVED) == []
    assert not asks_for_identity(text, SERVED)


@settings(deadline=None)  # every example compiles other names
@given(st.text(), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_and_any_names_can_be_compared(text: str, models: list[str]) -> None:
    names_itself(text, models)
    asks_for_identity(text, models)


@settings(deadline=None)  # every example compiles other names
@given(
    st.sampled_from(["I am {}.", "My name is {}", "Ich heiße {}.", "Je suis {}.", "我叫{}。", "Me llamo {}"]),
    st.from_regex(r"\A[a-z]{3,8}[-_. ][0-9]{1,3}b\Z"),
)
def test_a_served_name_is_told_in_any_spelling(sentence: str, model: str) -> None:
    for spelled in (model, model.upper(), model.replace("-", "_"), model.replace(".", " ").title()):
        assert names_itself(sentence.format(spelled), [model])
