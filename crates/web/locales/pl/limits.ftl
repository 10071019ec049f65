# Limity i klucze.

limits-views = Części strony
limits-view = Limity
limits-all = Wszystkie
limits-members = Użytkownicy
limits-models = Modele
limits-member = Użytkownik
limits-kinds = Które limity
limits-search = Szukaj użytkownika lub modelu
limits-count = { $n ->
    [one] { $shown } limit
    [few] { $shown } limity
    [many] { $shown } limitów
   *[other] { $shown } limitu
}
limits-table = Limity użytkowników i modeli
limits-subject = Użytkownik lub model
limits-used = Wykorzystano
limits-pending = Oczekujące
limits-in-flight = W toku
limits-limit = Limit miesięczny
limits-percent = Wykorzystano w %
limits-state = Stan
limits-actions = Działania
limits-ok = w limicie
limits-warning = prawie wyczerpany
limits-reached = wyczerpany
limits-edit = Zmień
limits-clear = Usuń
limits-tile-note = { $state }: { $used } z { $limit }
limits-own = Limit organizacji
limits-held = Zarezerwowano
limits-held-note = oczekujące { $pending }, w toku { $flight }
limits-reached-count = Wyczerpane limity
limits-near = { $n ->
    [one] { $shown } kolejny od 80%
    [few] { $shown } kolejne od 80%
    [many] { $shown } kolejnych od 80%
   *[other] { $shown } kolejnego od 80%
}
limits-renewed = Odnowienie limitów
limits-renewed-note = o północy, { $value }
limits-other-month = Zużycie z innego miesiąca w odniesieniu do dzisiejszych limitów.
limits-set-title = Ustaw limit
limits-scope = Dla
limits-subject-field = Id użytkownika lub nazwa modelu
limits-amount = Kwota miesięcznie, USD
limits-set-hint = Zastępuje limit, który już istnieje. Przy kwocie 0 żadne wywołanie nie przejdzie.
limits-set-button = Ustaw limit
limits-own-hint = Cena klienta za całe zużycie w miesiącu kalendarzowym. Przy kwocie 0 żadne wywołanie nie przejdzie.
limits-own-read-only = Ten limit może zmienić tylko sprzedawca. Skontaktuj się z nim, jeśli limit nie wystarcza.
limits-set = Limit ustawiono. Obowiązuje od razu.
limits-set-unknown = Limit ustawiono. W cenniku nie ma modelu o tej nazwie; sprawdź pisownię.
limits-cleared = Limit usunięto.
limits-own-set = Limit organizacji ustawiono. Obowiązuje od razu.
limits-own-cleared = Limit organizacji usunięto.
limits-gone = Niczego nie zmieniono: { $value } nie ma limitu.
limits-unknown-member = Niczego nie zmieniono: organizacja nie ma użytkownika { $value }. Podaj identyfikator z listy użytkowników.
limits-counted-as = Niczego nie zmieniono: wywołania tego modelu są liczone jako { $value }. Ustaw limit dla tej nazwy.
limits-clear-title = Usunąć limit: { $value }?
limits-clear-text = Zużycie będą ograniczać tylko pozostałe limity. Dotychczasowe zużycie zostaje zachowane.
limits-how = Jak działają limity
limits-rule-1 = Limit to kwota, którą można wykorzystać w miesiącu kalendarzowym, w USD według ceny klienta.
limits-rule-2 = Wywołanie przechodzi tylko wtedy, gdy limity organizacji, użytkownika i modelu nie są wyczerpane. Po wyczerpaniu limitu wywołania są odrzucane, dopóki limit się nie odnowi lub nie zostanie podniesiony.
limits-rule-3 = Oczekujące to kwota zarezerwowana na wywołania, których koszt jest ustalany. Do tego czasu liczy się jako wykorzystana.
limits-rule-4 = W toku to kwota zarezerwowana na wywołania, które jeszcze trwają.
empty-limits = Żaden użytkownik ani model nie ma limitu. Ustaw pierwszy powyżej, a pojawi się tutaj wraz z wykorzystaniem.
empty-limits-found = Żaden limit nie pasuje. Wyczyść wyszukiwanie.
limits-mine = Mój limit miesięczny
limits-mine-reached = Twój limit miesięczny jest wyczerpany. Wywołania są odrzucane do { $value } lub do podniesienia limitu przez administratora.
limits-organization-reached = Limit miesięczny organizacji jest wyczerpany. Wywołania są odrzucane do { $value } lub do podniesienia limitu.

keys-title = Klucze bramy
keys-table = Klucze
keys-which = Które klucze
keys-usable = Działające
keys-all = Wszystkie
keys-search = Szukaj według nazwy, początku klucza lub użytkownika
keys-count = { $n ->
    [one] { $shown } klucz
    [few] { $shown } klucze
    [many] { $shown } kluczy
   *[other] { $shown } klucza
}
keys-key = Klucz
keys-whose = Czyj
keys-rate = Żądania na minutę
keys-created = Utworzono
keys-expires = Wygasa
keys-never = nigdy
keys-active = aktywny
keys-expiring = wygasa
keys-expired = wygasł
keys-revoked = unieważniony
keys-open-webui = Open WebUI
keys-trusted = zaufany
keys-signed = podpisany
keys-rotate = Wymień
keys-revoke = Unieważnij
keys-new = Nowy klucz
keys-edit-title = Zmiana klucza { $value }
keys-create = Utwórz klucz
keys-name = Nazwa
keys-member = Id użytkownika (opcjonalnie)
keys-rate-field = Żądania na minutę (opcjonalnie)
keys-last-day = Ostatni dzień (opcjonalnie)
keys-open-webui-field = Używany przez Open WebUI: błędy w strumieniu mają jego postać
keys-trusted-field = Zaufany klient: nagłówki z tożsamością użytkownika są uznawane
keys-secret-field = Sekret do podpisanych tożsamości, od 32 do 512 znaków (opcjonalnie)
keys-secret-forget = Usuń obecny sekret
keys-form-hint = Bez użytkownika klucz należy do całej organizacji. Działa do końca ostatniego dnia. Z sekretem uznawane są tylko podpisane tożsamości; przy pustym polu obecny sekret pozostaje.
keys-made = Klucz { $value } jest gotowy
keys-made-text = Klucz jest pokazywany tylko ten jeden raz. Skopiuj go teraz i przechowuj jak hasło.
keys-made-base = Adres bazowy
keys-made-try = Aby wypróbować
keys-changed = Klucz zmieniono.
keys-revoked-done = Klucz unieważniono. Już nie działa.
keys-revoke-title = Unieważnić klucz { $name } ({ $prefix }…)?
keys-revoke-text = Wszystko, co go używa, będzie od razu odrzucane. Tego nie można cofnąć.
keys-rotate-title = Wymienić klucz { $name } ({ $prefix }…)?
keys-rotate-text = Zastąpi go nowy klucz z tymi samymi ustawieniami, bezterminowy. Zostanie pokazany jeden raz.
keys-grace = Dotychczasowy klucz
keys-grace-none = przestaje działać od razu
keys-grace-hour = działa jeszcze godzinę
keys-grace-day = działa jeszcze jeden dzień
keys-grace-week = działa jeszcze 7 dni
keys-grace-month = działa jeszcze 30 dni
keys-unfit-name = Nazwa musi mieć od 1 do 200 znaków.
keys-unfit-member = To nie jest identyfikator użytkownika.
keys-unfit-rate = Liczba żądań na minutę musi być liczbą całkowitą od 1 do 1 000 000.
keys-unfit-expiry = Ostatni dzień ważności nie może być dniem minionym.
keys-unfit-secret = Sekret musi mieć od 32 do 512 liter, cyfr lub znaków bez spacji.
keys-is-revoked = Niczego nie zmieniono: klucz jest unieważniony.
empty-keys = Nie ma jeszcze kluczy. Utwórz pierwszy poniżej; zostanie pokazany jeden raz wraz z przykładem użycia.
empty-keys-found = Żaden klucz nie pasuje. Wyczyść wyszukiwanie lub pokaż wszystkie klucze.

provider-key-title = Klucz dostawcy
provider-key-present = Klucz w OpenRouter
provider-key-none = brak
provider-key-entered = wprowadzony ręcznie
provider-key-unknown = stan nieznany
provider-key-enabled = włączony
provider-key-disabled = wyłączony
provider-key-ends = Kończy się na
provider-key-limit = Limit
provider-key-remaining = Pozostało z limitu
provider-key-reset = Odnowienie limitu
provider-key-never = nigdy
provider-key-daily = codziennie
provider-key-weekly = co tydzień
provider-key-monthly = co miesiąc
provider-key-usage = Wykorzystano łącznie
provider-key-usage-daily = Wykorzystano dzisiaj (UTC)
provider-key-usage-weekly = Wykorzystano w tym tygodniu
provider-key-usage-monthly = Wykorzystano w tym miesiącu (UTC)
provider-key-byok = Naliczone przez dostawców na własnych kluczach
provider-key-created-at = Utworzono
provider-key-hash = Początek identyfikatora w OpenRouter
provider-key-untold = OpenRouter nie podaje stanu klucza: { $value }
provider-key-slow = brak odpowiedzi w ciągu pięciu sekund
provider-key-enable = Włącz
provider-key-disable = Wyłącz
provider-key-disable-title = Wyłączyć klucz dostawcy organizacji { $value }?
provider-key-disable-text = OpenRouter będzie odrzucać każde wywołanie organizacji, dopóki klucz nie zostanie włączony.
provider-key-remove = Usuń
provider-key-remove-title = Usunąć klucz dostawcy organizacji { $value }?
provider-key-remove-text = Klucz zostanie wyłączony w OpenRouter i usunięty tutaj. Każde wywołanie organizacji będzie odrzucane, dopóki nie będzie innego klucza.
provider-key-forget = Usuń
provider-key-forget-title = Usunąć klucz dostawcy organizacji { $value }?
provider-key-forget-text = Klucz zostanie usunięty tutaj, a w OpenRouter pozostanie bez zmian. Każde wywołanie organizacji będzie odrzucane, dopóki nie będzie innego klucza.
provider-key-replace = Zastąp nowym kluczem
provider-key-replace-title = Zastąpić klucz dostawcy?
provider-key-replace-text = W OpenRouter zostanie utworzony nowy klucz, używany od razu. Obecny klucz utworzony tutaj zostanie wyłączony, a wprowadzony ręcznie tylko usunięty z tej usługi.
provider-key-create-title = Utwórz klucz w OpenRouter
provider-key-create = Utwórz klucz
provider-key-create-hint = Bez nazwy klucz otrzyma nazwę organizacji, bez kwoty nie będzie mieć limitu. Kwoty są kosztem zakupu. Sam klucz nie jest nikomu pokazywany.
provider-key-limit-title = Limit klucza
provider-key-limit-field = Limit, USD kosztu zakupu
provider-key-limit-hint = Tego limitu pilnuje OpenRouter. Odnawia się o północy UTC. Bez kwoty limitu nie ma.
provider-key-store-title = Wprowadź klucz
provider-key-field = Klucz OpenRouter
provider-key-store-hint = Klucz jest przechowywany w postaci zaszyfrowanej i nigdy nie jest pokazywany. Zastępuje obecny klucz.
provider-key-unfit = Klucz ma od 1 do 512 widocznych znaków.
provider-key-left = Stan klucza w OpenRouter różni się od stanu tutaj; sprawdź klucz w OpenRouter. { $value }
provider-key-created = Klucz utworzono w OpenRouter. Jest już używany.
provider-key-stored = Klucz zapisano. Jest już używany.
provider-key-forgotten = Klucz usunięto.
provider-key-limited = Limit klucza zmieniono.
provider-key-is-disabled = Klucz wyłączono.
provider-key-is-enabled = Klucz włączono.
provider-key-removed = Klucz wyłączono w OpenRouter i usunięto tutaj.
empty-provider-key = Organizacja nie ma klucza w OpenRouter, więc jej wywołania są odrzucane. Utwórz klucz lub go wprowadź.
