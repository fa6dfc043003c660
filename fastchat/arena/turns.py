"""From a question to its answers, kept: who answers is drawn, the question is examined and stored, the answers are
written in the background, examined and stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastchat.access.people import Visitor
from fastchat.arena import battles
from fastchat.arena.answering import Clock, Commission, Pace, Writing
from fastchat.arena.contenders import Entrant
from fastchat.arena.files import Files
from fastchat.arena.happenings import AnswerWritten, Tell, tell_nobody
from fastchat.arena.ids import new_id
from fastchat.arena.live import Live, Look
from fastchat.arena.moderation.base import Judgement
from fastchat.arena.prompting import image_ids, messages_for
from fastchat.arena.records import Answer, Battle, Conversation, Mark, Mode, Part, Sampling, Turn, text_of
from fastchat.arena.screening import Screening
from fastchat.arena.store.store import Store
from fastchat.arena.venue import Venue
from fastchat.client.chat import ChatClient

CHOSEN = "chosen"  # the policy of pairs that nobody drew


class Turns:
    """`wall` is the time that is stored, `clock` measures."""

    def __init__(
        self,
        store: Store,
        files: Files,
        live: Live,
        chat: ChatClient,
        screenings: Mapping[str, Screening],
        look: Look,
        *,
        pace: Pace,
        wall: Clock,
        clock: Clock,
        tell: Tell = tell_nobody,
    ) -> None:
        self._store = store
        self._files = files
        self._live = live
        self._chat = chat
        self._screenings = screenings
        self._look = look
        self._pace = pace
        self._wall = wall
        self._clock = clock
        self._tell = tell

    async def ask(
        self,
        who: Visitor,
        venue: Venue,
        conversation: Conversation,
        question: Sequence[Part],
        *,
        is_new: bool = False,
        sampling: Sampling | None = None,
        instead_of: int | None = None,  # number of the turn that it takes the place of
        is_of_images: bool = False,  # its models were drawn for an image
    ) -> Conversation:
        """
        Raises:
            FastChatError: it may not be asked, or nobody is there to answer; then nothing has changed.
        """
        assert conversation.voter_id is not None
        question = await self._files.checked(conversation.voter_id, question)
        battles.check_question(question, venue.config.integrity)
        now = self._wall()
        conversation = replace(conversation, sampling=sampling or conversation.sampling)
        is_drawn_now = conversation.battle is None
        conversation = self._with_models(venue, conversation, question, now)
        turn = Turn(new_id(now), len(conversation.turns), question, now)
        conversation = battles.asked(conversation, turn)
        if conversation.is_blind and conversation.has_images and not (is_of_images or is_drawn_now):
            venue.check_takes_images_late()
        writers = venue.writers(conversation, needs_sight=conversation.has_images)
        venue.take_a_turn(who)
        images = await self._files.data_urls(image_ids(conversation.turns))
        judgement, marks = await self._examine(venue, conversation, images)
        conversation = battles.marked(conversation, marks)
        conversation = battles.answered(conversation, self._pending(conversation))
        turn = conversation.turns[-1]
        if is_new:
            await self._store.begin(conversation, who.address_hash)
        else:
            if instead_of is not None:
                await self._store.supersede(conversation.conversation_id, instead_of)
            await self._store.add_turn(conversation, turn)
        await self._note(turn.message_id, judgement)
        self._begin(who, venue, conversation, writers, images)
        return conversation

    async def regenerate(self, who: Visitor, venue: Venue, conversation: Conversation) -> Conversation:
        """Of the last turn; what was voted on stays, and its question is asked once more behind it."""
        now = self._wall()
        writers = venue.writers(conversation, needs_sight=conversation.has_images)
        venue.take_a_turn(who)
        images = await self._files.data_urls(image_ids(conversation.turns))
        last = conversation.turns[-1]
        attempt = max((answer.attempt for answer in last.answers), default=0) + 1
        if battles.was_judged(conversation):
            again = Turn(new_id(now), len(conversation.turns), last.question, now)
            conversation = battles.asked(conversation, again)
            conversation = battles.answered(conversation, self._pending(conversation, attempt))
            await self._store.add_turn(conversation, conversation.turns[-1])
        else:
            conversation = battles.regenerated(conversation, self._pending(conversation, attempt), now=now)
        self._begin(who, venue, conversation, writers, images)
        return conversation

    def _with_models(
        self, venue: Venue, conversation: Conversation, question: Sequence[Part], now: float
    ) -> Conversation:
        """Drawn or paired at the first question, not before: who only looks at a page uses up no battle."""
        if conversation.battle is not None or conversation.mode is Mode.DIRECT:
            return conversation
        if conversation.mode is Mode.BATTLE:
            draw = venue.draw(has_images=any(part.type == "image" for part in question))
            models, probability, policy = (draw.left, draw.right), draw.probability, draw.policy
        else:
            models, probability, policy = (conversation.models[0], conversation.models[1]), 1.0, CHOSEN
        battle = Battle(new_id(now), *models, probability=probability, policy=policy, drawn_at=now)
        return replace(conversation, models=models, battle=battle)

    def _pending(self, conversation: Conversation, attempt: int = 1) -> tuple[Answer, ...]:
        now = self._wall()  # moderators may have taken their time since the question came
        return tuple(
            Answer(new_id(now), side, model, attempt=attempt, started_at=now)
            for side, model in zip(conversation.sides, conversation.models, strict=True)
        )

    async def _examine(
        self, venue: Venue, conversation: Conversation, images: Mapping[str, str]
    ) -> tuple[Judgement, frozenset[Mark]]:
        screening = self._screenings[venue.name]
        turn = conversation.turns[-1]
        words = text_of(turn.question)
        judgement = await screening.judge_question(words, [images[key] for key in image_ids([turn]) if key in images])
        marks = screening.question_marks(judgement)
        said = f"{conversation.system}\n\n{words}" if conversation.system else words
        voter_id = conversation.voter_id or ""
        marks |= await screening.marks_of_words(said, voter_id, list(venue.entrants), is_first=turn.number == 0)
        return judgement, marks | ({Mark.PRESET_PROMPT} if venue.questions.holds(words) else set())

    def _begin(
        self,
        who: Visitor,
        venue: Venue,
        conversation: Conversation,
        writers: Sequence[Entrant],
        images: Mapping[str, str],
    ) -> None:
        mode, config = conversation.mode, venue.config
        commissions = []
        for answer, entrant in zip(conversation.turns[-1].answers, writers, strict=True):
            system = entrant.system(config.system, conversation.system, mode)
            messages = messages_for(conversation, answer.side, system, images)
            parameters = entrant.parameters(conversation.sampling, mode)
            commissions.append(Commission(answer, entrant.served.name, messages, parameters))
        wait_s = config.integrity.first_token_wait_s
        writing = Writing(
            self._chat,
            commissions,
            self._pace,
            first_token_wait_s=wait_s,
            clock=self._clock,
            flush_s=self._live.flush_s,
        )

        async def keep(answered: Conversation) -> Conversation:
            return await self._keep(who, venue, answered)

        self._live.begin(conversation, writing, self._look, keep)

    async def _keep(self, who: Visitor, venue: Venue, conversation: Conversation) -> Conversation:
        """Examine what was written, and store it."""
        models = [*venue.entrants, *conversation.models]
        examined = await self._screenings[venue.name].examine(conversation.turns[-1].answers, models)
        conversation = battles.answered(conversation, tuple(one.answer for one in examined))
        conversation = battles.marked(conversation, frozenset().union(*(one.marks for one in examined)))
        conversation = replace(conversation, updated_at=self._wall())
        await self._store.save_answers(conversation, conversation.turns[-1])
        for one in examined:
            await self._note(one.answer.message_id, one.judgement)
            self._tell(conversation, AnswerWritten(conversation.turns[-1], one.answer), who.address_hash)
        return conversation

    async def _note(self, message_id: str, judgement: Judgement | None) -> None:
        """What was flagged, or could not be judged, is for an admin to see."""
        if judgement is not None and (judgement.is_flagged or judgement.is_failed):
            found = {
                "categories": dict(judgement.categories),
                "is_failed": judgement.is_failed,
                "detail": judgement.detail,
            }
            await self._store.add_judgement(message_id, judgement.source, judgement.is_flagged, found, self._wall())
