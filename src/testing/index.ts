// What tests of selfheal, of plugins and of whole set-ups may use: public as `selfheal/testing`.

export {
  FakeTelegram,
  type FakeButton,
  type FakeCall,
  type FakeFault,
  type FakeMessage,
  type FakePress,
  type FakeTelegramOptions,
} from './telegram.ts';
export { SwiftClock } from './swift-clock.ts';
export {
  parseHtml,
  parseMarkdownV2,
  tappable,
  EntityError,
  type Entity,
  type FormattedText,
} from './telegram-entities.ts';
